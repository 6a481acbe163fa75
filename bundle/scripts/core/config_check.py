"""Checks a configuration before anything in it is built: settings that nothing knows, and texts where a switch is meant.

MONAI takes any key, and one that nothing reads changes nothing: a misspelt setting would show in the results, if at all.
"""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from monai.bundle import ComponentLocator, ConfigComponent, ConfigParser, ReferenceResolver
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS, EXPR_KEY, ID_REF_KEY, ID_SEP_KEY, MACRO_KEY

from .arguments import is_switch, nearest, no_such, to_switch
from .paths import BUNDLE_ROOT

__all__ = ["checked"]

CONFIGS = Path(BUNDLE_ROOT) / "configs"
# what any workflow may have
_WORKFLOW = ("imports", "initialize", "run", "finalize")
# settings of other configs and of functions, checked by those who take them
_ELSEWHERE = ("dataset", "prepare", "settings", "overrides")
_WORDS = {"true": "True", "false": "False", "null": "None", "none": "None"}
_ABSENT = object()

_Where = tuple[Any, ...]


def checked(config: Mapping[str, Any], name: str, files: Mapping[str, Any] | None = None) -> dict[str, bool]:
    """Check a configuration as MONAI has merged it.

    Known are the settings of the config file that it starts from, and whatever something refers to (``@key``, ``%key``), so
    that a recipe may bring settings of its own. Arguments of components are those of their signatures. A switch is what is
    ``true`` or ``false`` in that file, or what a component takes as a ``bool``.

    Args:
        config: the configuration, macros resolved or not.
        name: name of the config file in ``configs`` that it starts from.
        files: what its config files hold, where known: settings that these refer to are known even if an override has taken
            the place of what referred to them, or MONAI that of a macro.

    Returns:
        The switches that are spelt as texts or numbers (off, 0), by their ids, as ``True`` or ``False``.

    Raises:
        ValueError: settings that are not known, each with the nearest known one; switches that are neither; the texts
            ``true``, ``false`` or ``null`` elsewhere, as MONAI's command line reads Python, where these are texts, and a
            text is true. A line for each.
    """
    check = _Check(config, name, files or {})
    check.run()
    if check.faults:
        raise ValueError("\n".join(check.faults))
    return check.switches


class _Check:
    """One pass over a configuration, which collects faults and switches."""

    def __init__(self, config: Mapping[str, Any], name: str, files: Mapping[str, Any]) -> None:
        self.config = config
        self.owner = f"{name}.yaml"
        self.base = _shipped(self.owner)
        references = {*_references(config), *_references(files)}
        self.referred = {_id(r[:depth]) for r in references for depth in range(1, len(r) + 1)}
        self.handed_on = {*_switches_of_components(self.base), *_switches_of_components(config)}
        self.faults: list[str] = []
        self.switches: dict[str, bool] = {}

    def run(self) -> None:
        """Check every setting."""
        known = {*self.base, *_WORKFLOW, *self.referred}
        if "save_execute_config" in self.config:  # monai.bundle run --tracking
            known.update(DEFAULT_MLFLOW_SETTINGS["configs"])
        for key, value in self.config.items():
            if key.startswith("_"):
                continue
            if key not in known:
                self.faults.append(f"{key}: {self._unknown(key)}")
            elif key not in _ELSEWHERE or _is_component(value):
                base = self.base.get(key, _ABSENT)
                self._item(value, base, (key,), self._is_switch(base, (key,)))

    def _is_switch(self, base: Any, where: _Where) -> bool:
        return isinstance(base, bool) or _id(where) in self.handed_on

    def _item(self, value: Any, base: Any, where: _Where, switch: bool = False, free: bool = False) -> None:
        """Check a value against that of the base; ``free`` where its keys need not be known."""
        if _is_component(value):
            self._component(value, base, where)
        elif isinstance(value, Mapping):
            # a mapping of components, such as metrics by their names, takes more of them
            free = free or _is_component(base) or all(map(_is_component, _part(base).values()))
            for key, item in value.items():
                inner, below = (*where, key), _part(base).get(key, _ABSENT)
                if not free and below is _ABSENT and _id(inner) not in self.referred:
                    self.faults.append(f"{_id(inner)}: {no_such(key, _id(where), base)}")
                else:
                    self._item(item, below, inner, not free and self._is_switch(below, inner), free)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, (Mapping, list)):
                    self._item(item, _ABSENT, (*where, index), free=True)
        else:
            self._scalar(value, base, where, switch)

    def _component(self, value: Mapping[str, Any], base: Any, where: _Where) -> None:
        target, known, any_name = _signature(value)
        for key, item in value.items():
            inner = (*where, key)
            if key.startswith("_"):
                continue
            if key not in known and not any_name:
                self.faults.append(f"{_id(inner)}: {no_such(key, target, known)}")
            else:
                self._item(item, _part(base).get(key, _ABSENT), inner, key in known and is_switch(known[key]), free=True)

    def _scalar(self, value: Any, base: Any, where: _Where, switch: bool) -> None:
        if isinstance(value, str) and value.startswith((EXPR_KEY, ID_REF_KEY, MACRO_KEY)):
            return
        word = value.strip().lower() if isinstance(value, str) else None
        if switch:
            try:
                meant = to_switch(value)
            except ValueError as error:
                self.faults.append(f"{_id(where)}: {error}")
                return
            if meant is not value:
                self.switches[_id(where)] = meant
        # "none" is a text in its own right where texts are expected, such as the reduction of a loss
        elif word in _WORDS and (word != "none" or not (base is _ABSENT or isinstance(base, str))):
            self.faults.append(f"{_id(where)}: found the text {value!r}, which counts as true; write {_WORDS[word]}")

    def _unknown(self, key: str) -> str:
        """Message about a key at the top of the configuration."""
        inner = [id for id in _ids(self.base) if id.endswith(f"#{key}")]
        if inner:
            return f"{self.owner} has no setting {key!r}; did you mean {' or '.join(map(repr, inner))}?"
        known = [k for k in {**self.base, **dict.fromkeys(sorted(self.referred))} if "#" not in k and k not in _WORKFLOW]
        having = [stage for stage in _shipped("pipeline.yaml")["stages"] if key in _shipped(f"{stage}.yaml")]
        if having and "overrides" in self.base and nearest(key, known) is None:
            return (
                f"{self.owner} has no setting {key!r}, {' and '.join(having)} have it: "
                f"write it in overrides, {{{having[0]!r}: {{{key!r}: ...}}}}"
            )
        return no_such(key, self.owner, known)


@cache
def _shipped(file: str) -> Mapping[str, Any]:
    return ConfigParser.load_config_file(CONFIGS / file)


def _references(config: Any, where: _Where = ()) -> Iterator[_Where]:
    """Paths of all that a configuration refers to."""
    if isinstance(config, (Mapping, list)):
        for key, item in config.items() if isinstance(config, Mapping) else enumerate(config):
            if (key, where) != (ConfigParser.meta_key, ()):
                yield from _references(item, (*where, key))
    elif isinstance(config, str):
        text = ConfigParser.resolve_relative_ids(ID_SEP_KEY.join(map(str, where)), config)
        found = list(ReferenceResolver.match_refs_pattern(text))
        if text.startswith(MACRO_KEY):
            file, id = ConfigParser.split_path_id(text[len(MACRO_KEY) :])
            found += [] if file else [id]
        yield from (tuple(ReferenceResolver.split_id(id)) for id in found)


def _ids(config: Mapping[str, Any], where: _Where = ()) -> Iterator[str]:
    """Ids of all that stands in the mappings of a configuration."""
    for key, item in config.items():
        yield _id((*where, key))
        if isinstance(item, Mapping):
            yield from _ids(item, (*where, key))


def _switches_of_components(config: Any) -> Iterator[str]:
    """Ids that some component takes, by a plain reference, as a switch."""
    if _is_component(config):
        _, known, _ = _signature(config)
        for key, item in config.items():
            if isinstance(item, str) and item.startswith(ID_REF_KEY) and key in known and is_switch(known[key]):
                yield _id(ReferenceResolver.split_id(item[len(ID_REF_KEY) :]))
    if isinstance(config, (Mapping, list)):
        for item in config.values() if isinstance(config, Mapping) else config:
            yield from _switches_of_components(item)


def _signature(component: Mapping[str, Any]) -> tuple[str, dict[str, inspect.Parameter], bool]:
    """Name of what MONAI builds a component with, its parameters by name, and whether it may take others, or only MONAI can
    tell."""
    target = component["_target_"]
    if isinstance(target, str) and not target.startswith((EXPR_KEY, ID_REF_KEY, MACRO_KEY)):
        try:
            target = pydoc.locate(ConfigComponent({"_target_": target}, locator=_locator()).resolve_module_name())
        except pydoc.ErrorDuringImport:
            target = None
    try:
        known = dict(inspect.signature(target).parameters) if callable(target) else None
    except (TypeError, ValueError):  # some that are written in C
        known = None
    any_name = known is None or any(p.kind is p.VAR_KEYWORD for p in known.values())
    return getattr(target, "__name__", str(target)), known or {}, any_name


@cache
def _locator() -> ComponentLocator:
    return ComponentLocator()


def _is_component(value: Any) -> bool:
    return ConfigComponent.is_instantiable(value)


def _part(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(where: Sequence[Any]) -> str:
    return "#".join(map(str, where))
