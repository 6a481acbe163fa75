"""Kinds of settings: what they take, what they turn it into, and what they say."""

from __future__ import annotations

import pytest
from scripts.core.arguments import arguments
from scripts.core.kinds import SETTINGS, Either, Listed, Text, kind_of, setting_kind
from scripts.core.ranges import Number, shown
from scripts.data.datalist import SECTIONS


@pytest.mark.parametrize(
    ("number", "words", "inside", "outside"),
    [
        (Number(0, 1), "a number from 0 to 1", [0, 0.5, 1], [-0.1, 1.1, float("nan"), float("inf"), True, "1", None, 1j]),
        (Number(0, 1, below=True), "a number from 0 to below 1", [0, 0.999], [1, -1]),
        (Number(0, 1, above=True), "a number above 0 and up to 1", [0.001, 1], [0]),
        (Number(0, 1, above=True, below=True), "a number above 0 and below 1", [0.5], [0, 1]),
        (Number(1, whole=True), "a whole number, 1 or more", [1, 10**400], [0, 1.0, True]),
        (Number(high=3), "a number, 3 or less", [-9, 3], [4, float("-inf")]),
        (Number(0, above=True, unit="mm"), "a number above 0 mm", [1e-9], [0]),
        (Number(), "a number", [-1e9, 0], [float("nan"), "0"]),
    ],
)
def test_ranges(number, words, inside, outside):
    assert str(number) == words
    assert [value for value in inside if value not in number] == []
    for value in outside:
        with pytest.raises(ValueError) as error:
            number.fit(value)
        assert str(error.value).startswith(f"found {value!r}, expected {words}")


def test_values_are_shown_in_one_short_line():
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, "x" * 10**6, {k: k for k in range(10**4)}, "a\nb", 10**400):
        assert len(shown(value)) < 400 and "\n" not in shown(value)


def test_kinds_say_what_they_are_and_fit():
    both = Either((Number(1, whole=True), Listed(Text(), count=2)), none=True)
    assert str(both) == "a whole number, 1 or more, or a list of 2, each a text, or None"
    assert both.fit(3) == 3 and both.fit(None) is None and both.fit([1, "b"]) == ["1", "b"]
    for value in (0, ["a"], "a", {"a": 1}):
        with pytest.raises(ValueError, match="expected a whole number, 1 or more, or a list of 2"):
            both.fit(value)
    assert Text().fit(2024) == "2024" and Listed(empty=True).fit(()) == []
    with pytest.raises(ValueError, match="found 'c', expected one of a, b"):
        Text(("a", "b")).fit("c")


@pytest.mark.parametrize(
    ("default", "words"),
    [(3, "a whole number"), (0.5, "a number"), ("a", "a text"), ([1, 2.0], "a list, each a number"), (["a"], "a list, each a text"), ([{}], "a list"), ([], "a list")],
)  # fmt: skip
def test_defaults_say_what_is_meant(default, words):
    assert str(kind_of(default)) == words
    assert kind_of(default).fit(default) == default


def test_defaults_that_say_nothing():
    assert [kind_of(value) for value in (None, True, {}, object())] == [None] * 4


def test_one_setting_has_one_range_in_all_configs():
    assert setting_kind("train", "seed") is setting_kind("demo", "seed") is SETTINGS["seed"]
    assert setting_kind("demo", "patch_size") is not setting_kind("inference", "patch_size")
    assert setting_kind("train", "nothing") is None
    assert SETTINGS["section"].choices == SECTIONS


def test_arguments_of_the_preparation_have_kinds_too():
    def prepare(patch_size=224, stride=None, scale=1.0, layout="rois", overwrite=False):
        pass

    good = {"patch_size": [64, 96], "stride": 8, "scale": 2, "overwrite": "no"}
    assert arguments(prepare, good, "prepare") == {**good, "overwrite": False}
    for key, value in {"patch_size": 4, "stride": 0, "scale": 0, "layout": []}.items():
        with pytest.raises(ValueError, match=f"prepare#{key}: found .*, expected "):
            arguments(prepare, {key: value}, "prepare")
