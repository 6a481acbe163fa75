from __future__ import annotations

import inspect

import pytest
from scripts.core.arguments import arguments, is_switch, no_such, passes_on, to_switch


def _take(stride: int = 1, flips: bool = False, mode: str | bool = "plain", *, bare=True) -> None: ...


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, True), (1, True), ("true", True), ("Yes", True), (" ON ", True),
        (False, False), (0, False), ("FALSE", False), ("no", False), ("Off", False),
    ],
)  # fmt: skip
def test_spellings_of_a_switch(value, meant):
    assert to_switch(value) is meant


@pytest.mark.parametrize("value", ["", "maybe", "none", "1", 2, -1, 1.0, None, [True]])
def test_nothing_else_is_a_switch(value):
    with pytest.raises(ValueError, match="expected True or False") as error:
        to_switch(value)
    assert repr(value) in str(error.value)


def test_a_switch_is_annotated_as_one_or_has_one_as_its_default():
    switches = [name for name, parameter in inspect.signature(_take).parameters.items() if is_switch(parameter)]
    assert switches == ["flips", "bare"]


def test_arguments_are_the_settings_with_switches_put_right():
    given = {"stride": "8", "flips": "no", "mode": "no", "bare": 1}
    assert arguments(_take, given, "set") == {"stride": "8", "flips": False, "mode": "no", "bare": True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strid": 8}, "set has no setting 'strid'; did you mean 'stride'?"),
        ({"mode": "x"}, "set has no setting 'mode'; it has stride, flips, bare"),
        ({"flips": "maybe"}, "set#flips: found 'maybe', expected True or False"),
        ("stride", "set: found 'stride', expected settings by their names"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ValueError) as error:
        arguments(_take, settings, "set", taken=("mode",))
    assert str(error.value) == message


def test_the_nearest_name_or_all_of_them():
    assert no_such("flps", "x.yaml", ["flips", "clips"]) == "x.yaml has no setting 'flps'; did you mean 'flips'?"
    assert no_such("q", "x.yaml", ["flips", 3]) == "x.yaml has no setting 'q'; it has flips, 3"


def test_what_is_passed_on_has_its_names():
    @passes_on(_take)
    def function(first, *args, last=None, **kwargs):
        return first, args, last, kwargs

    class Child:
        @passes_on(_take)
        def __init__(self, *args, flips: int = 3, **kwargs):
            self.given = args, flips, kwargs

    assert list(inspect.signature(function).parameters) == ["first", "stride", "flips", "mode", "last", "bare"]
    assert function(1, 2, bare=3) == (1, (2,), None, {"bare": 3})
    parameters = inspect.signature(Child).parameters
    assert list(parameters) == ["stride", "mode", "flips", "bare"] and parameters["flips"].default == 3
    assert Child(5, mode="x").given == ((5,), 3, {"mode": "x"})
