"""Checks a configuration before anything in it is built: settings that nothing knows, and values that they cannot have.

MONAI takes any key, and one that nothing reads changes nothing: a misspelt setting would show in the results, if at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

from .arguments import is_switch, nearest, no_such, to_switch
from .config_parts import (
    Where,
    all_ids,
    id_of,
    is_component,
    is_expression,
    part,
    references,
    signature,
    switches_of_components,
)
from .devices import checked_device
from .facts import check_facts
from .kinds import Kind, kind_of, setting_kind
from .paths import BUNDLE_ROOT
from .ranges import shown

__all__ = ["checked", "shipped"]

CONFIGS = Path(BUNDLE_ROOT) / "configs"
# what any workflow may have
_WORKFLOW = ("imports", "initialize", "run", "finalize")
# settings of other configs and of functions, by whose names and kinds those who take them check them
_SECTIONS = ("dataset", "prepare", "settings", "overrides")
_OF_STAGES = ("settings", "overrides")
_WORDS = {"true": "True", "false": "False", "null": "None", "none": "None"}
_ABSENT = object()


def checked(config: Mapping[str, Any], name: str, files: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a configuration as MONAI has merged it.

    Known are the settings of the config file that it starts from, and whatever something refers to (``@key``, ``%key``), so
    that a recipe may bring settings of its own. Arguments of components are those of their signatures. A switch is what is
    ``true`` or ``false`` in that file, or what a component takes as a ``bool``. Of which kind and in which range others are,
    says :data:`~.kinds.SETTINGS`, or else the value in that file. Expressions are left alone.

    Args:
        config: the configuration, macros resolved or not.
        name: name of the config file in ``configs`` that it starts from.
        files: what its config files hold, where known: settings that these refer to are known even if an override has taken
            the place of what referred to them, or MONAI that of a macro.

    Returns:
        The settings that are spelt otherwise than they are meant, by their ids, as they are meant: switches as texts or
        numbers (off, 0), texts as numbers (a folder 2024), devices as texts, sections that are ``None``.

    Raises:
        ValueError: settings that are not known, each with the nearest known one; values of another kind or out of range; the
            texts ``true``, ``false`` or ``null``, as MONAI's command line reads Python, where these are texts, and a text is
            true. A line for each.
    """
    check = _Check(config, name, files or {})
    check.run()
    if check.faults:
        raise ValueError("\n".join(check.faults))
    return check.meant


class _Check:
    """One pass over a configuration, which collects faults, and what is spelt otherwise than it is meant."""

    def __init__(self, config: Mapping[str, Any], name: str, files: Mapping[str, Any]) -> None:
        self.config = config
        self.name, self.owner = name, f"{name}.yaml"
        self.base = shipped(self.owner)
        found = {*references(config), *references(files)}
        self.referred = {id_of(r[:depth]) for r in found for depth in range(1, len(r) + 1)}
        self.handed_on = {*switches_of_components(self.base), *switches_of_components(config)}
        self.faults: list[str] = []
        self.meant: dict[str, Any] = {}

    def run(self) -> None:
        """Check every setting."""
        known = {*self.base, *_WORKFLOW, *self.referred}
        if "save_execute_config" in self.config:  # monai.bundle run --tracking
            known.update(DEFAULT_MLFLOW_SETTINGS["configs"])
        for key, value in self.config.items():
            base = self.base.get(key, _ABSENT)
            if str(key).startswith("_"):
                continue
            if key not in known:
                self.faults.append(f"{key}: {self._unknown(key)}")
            elif key in _SECTIONS and not is_component(value) and not is_component(base):
                self._section(key, value)
            else:
                self._item(value, base, (key,), self._is_switch(base, (key,)))

    def _is_switch(self, base: Any, where: Where) -> bool:
        return isinstance(base, bool) or id_of(where) in self.handed_on

    def _fault(self, where: Where, value: Any, expected: str) -> None:
        self.faults.append(f"{id_of(where)}: found {shown(value)}, expected {expected}")

    def _section(self, key: str, value: Any) -> None:
        """Check what a section is, and of settings of stages what each stage's are."""
        if value is None:
            self.meant[key] = {}
        elif not isinstance(value, Mapping):
            if not is_expression(value):
                self._fault((key,), value, "settings by their names, {name: value}")
        elif key == "dataset":
            try:
                check_facts({k: v for k, v in value.items() if not is_expression(v)})
            except ValueError as error:
                self.faults.append(f"dataset#{error}")
        elif key in _OF_STAGES:
            for stage, settings in value.items():
                if settings is None:
                    self.meant[f"{key}#{stage}"] = {}
                elif not isinstance(settings, Mapping) and not is_expression(settings):
                    self._fault((key, stage), settings, "settings of the stage by their ids, {'max_epochs': 20}")

    def _item(self, value: Any, base: Any, where: Where, switch: bool = False, free: bool = False) -> None:
        """Check a value against that of the base; ``free`` where its keys need not be known."""
        kind = None if switch or is_component(value) else setting_kind(self.name, id_of(where))
        # a component may be given None for anything
        kind = kind or (None if switch or is_component(value) or (free and value is None) else kind_of(self._plain(base)))
        if is_component(value):
            self._component(value, base, where)
        elif switch and isinstance(value, (Mapping, list, tuple)):
            self._fault(where, value, "True or False")
        elif isinstance(value, Mapping) and kind is None:
            # a mapping of components, such as metrics by their names, takes more of them
            free = free or is_component(base) or all(map(is_component, part(base).values()))
            for key, item in value.items():
                inner, below = (*where, key), part(base).get(key, _ABSENT)
                if not free and below is _ABSENT and id_of(inner) not in self.referred:
                    self.faults.append(f"{id_of(inner)}: {no_such(key, id_of(where), base)}")
                else:
                    self._item(item, below, inner, not free and self._is_switch(below, inner), free)
        elif isinstance(value, (list, tuple)):
            if not any(map(is_expression, value)):
                self._fit(value, base, where, kind)
            for index, item in enumerate(value):
                if isinstance(item, (Mapping, list)):
                    self._item(item, _ABSENT, (*where, index), free=True)
        else:
            self._scalar(value, base, where, switch, kind)

    @staticmethod
    def _plain(base: Any) -> Any:
        return None if base is _ABSENT or is_expression(base) else base

    def _component(self, value: Mapping[str, Any], base: Any, where: Where) -> None:
        target, known, any_name = signature(value)
        same = part(base) if part(base).get("_target_") == value["_target_"] else {}
        for key, item in value.items():
            inner = (*where, key)
            if str(key).startswith("_"):
                continue
            if key not in known and not any_name:
                self.faults.append(f"{id_of(inner)}: {no_such(key, target, known)}")
            else:
                self._item(item, same.get(key, _ABSENT), inner, key in known and is_switch(known[key]), free=True)

    def _scalar(self, value: Any, base: Any, where: Where, switch: bool, kind: Kind | None) -> None:
        if is_expression(value):
            return
        word = value.strip().lower() if isinstance(value, str) else None
        if switch:
            self._take(value, where, to_switch)
        # "none" is a text in its own right where texts are expected, such as the reduction of a loss
        elif word in _WORDS and (word != "none" or not (base is _ABSENT or isinstance(base, str))):
            self.faults.append(f"{id_of(where)}: found the text {value!r}, which counts as true; write {_WORDS[word]}")
        elif where == ("device",):
            self._take(value, where, _device)
        else:
            self._fit(value, base, where, kind)

    def _fit(self, value: Any, base: Any, where: Where, kind: Kind | None) -> None:
        """Check a value that is no mapping."""
        if kind is not None:
            self._take(value, where, kind.fit)
        elif is_component(base):
            if isinstance(value, (str, int, float, list)):
                self._fault(where, value, "a part, {'_target_': ...}, or an expression")
        elif isinstance(base, Mapping) and not isinstance(value, Mapping):
            self._fault(where, value, f"settings by their names: {', '.join(map(str, base))}")

    def _take(self, value: Any, where: Where, read: Callable[[Any], Any]) -> None:
        """Check a value by what reads it, and note how it is meant where it is spelt otherwise."""
        try:
            meant = read(value)
        except ValueError as error:
            self.faults.append(f"{id_of(where)}: {error}")
            return
        # False is spelt 0, too; a tuple is a list
        if (isinstance(meant, bool) and meant is not value) or (meant != value and not isinstance(value, tuple)):
            self.meant[id_of(where)] = meant

    def _unknown(self, key: str) -> str:
        """Message about a key at the top of the configuration."""
        inner = [id for id in all_ids(self.base) if id.endswith(f"#{key}")]
        if inner:
            return f"{self.owner} has no setting {key!r}; did you mean {' or '.join(map(repr, inner))}?"
        known = [k for k in {**self.base, **dict.fromkeys(sorted(self.referred))} if "#" not in k and k not in _WORKFLOW]
        having = [stage for stage in shipped("pipeline.yaml")["stages"] if key in shipped(f"{stage}.yaml")]
        if having and "overrides" in self.base and nearest(key, known) is None:
            return (
                f"{self.owner} has no setting {key!r}, {' and '.join(having)} have it: "
                f"write it in overrides, {{{having[0]!r}: {{{key!r}: ...}}}}"
            )
        return no_such(key, self.owner, known)


def _device(value: Any) -> Any:
    device = checked_device(value)
    return value if device is value else f"$torch.device({str(device)!r})"


@cache
def shipped(file: str) -> Mapping[str, Any]:
    """A config file of the bundle, as it is."""
    return ConfigParser.load_config_file(CONFIGS / file)
