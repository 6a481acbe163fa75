"""Parts of a configuration before anything in it is built: what refers to what, and what components take."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from monai.bundle import ComponentLocator, ConfigComponent, ConfigParser, ReferenceResolver
from monai.bundle.utils import EXPR_KEY, ID_REF_KEY, ID_SEP_KEY, MACRO_KEY

from .arguments import is_switch

__all__ = [
    "Where",
    "all_ids",
    "id_of",
    "is_component",
    "is_expression",
    "part",
    "references",
    "signature",
    "switches_of_components",
]

#: Path of a part of a configuration.
Where = tuple[Any, ...]


def references(config: Any, where: Where = ()) -> Iterator[Where]:
    """Paths of all that a configuration refers to."""
    if isinstance(config, (Mapping, list)):
        for key, item in config.items() if isinstance(config, Mapping) else enumerate(config):
            if (key, where) != (ConfigParser.meta_key, ()):
                yield from references(item, (*where, key))
    elif isinstance(config, str):
        text = ConfigParser.resolve_relative_ids(ID_SEP_KEY.join(map(str, where)), config)
        found = list(ReferenceResolver.match_refs_pattern(text))
        if text.startswith(MACRO_KEY):
            file, id = ConfigParser.split_path_id(text[len(MACRO_KEY) :])
            found += [] if file else [id]
        yield from (tuple(ReferenceResolver.split_id(id)) for id in found)


def all_ids(config: Mapping[str, Any], where: Where = ()) -> Iterator[str]:
    """Ids of all that stands in the mappings of a configuration."""
    for key, item in config.items():
        yield id_of((*where, key))
        if isinstance(item, Mapping):
            yield from all_ids(item, (*where, key))


def switches_of_components(config: Any) -> Iterator[str]:
    """Ids that some component takes, by a plain reference, as a switch."""
    if is_component(config):
        _, known, _ = signature(config)
        for key, item in config.items():
            if isinstance(item, str) and item.startswith(ID_REF_KEY) and key in known and is_switch(known[key]):
                yield id_of(ReferenceResolver.split_id(item[len(ID_REF_KEY) :]))
    if isinstance(config, (Mapping, list)):
        for item in config.values() if isinstance(config, Mapping) else config:
            yield from switches_of_components(item)


def signature(component: Mapping[str, Any]) -> tuple[str, dict[str, inspect.Parameter], bool]:
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


def is_component(value: Any) -> bool:
    """Whether MONAI builds something from a value."""
    return ConfigComponent.is_instantiable(value)


def is_expression(value: Any) -> bool:
    """Whether a value is worked out from others: an expression, a reference, a macro."""
    return isinstance(value, str) and value.startswith((EXPR_KEY, ID_REF_KEY, MACRO_KEY))


def part(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, nothing of anything else."""
    return value if isinstance(value, Mapping) else {}


def id_of(where: Sequence[Any]) -> str:
    """The id of a path, as the command line takes it."""
    return "#".join(map(str, where))
