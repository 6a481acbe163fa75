"""The configuration that a MONAI workflow is running, as data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from monai.bundle import ConfigParser

__all__ = ["plain", "refuse_json_words", "running_config", "scalars"]


def running_config() -> dict[str, Any]:
    """The raw configuration of the MONAI workflow that is evaluating this expression; empty outside one.

    A configuration cannot name itself whole, so the innermost parser on the call stack is asked.
    """
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        parser = owner if isinstance(owner, ConfigParser) else getattr(owner, "__dict__", {}).get("parser")
        if isinstance(parser, ConfigParser):
            return {k: v for k, v in deepcopy(parser.config).items() if k != parser.meta_key}
        frame = frame.f_back
    return {}


def refuse_json_words(config: Mapping[str, Any], above: str = "") -> None:
    """Refuse settings that are the texts ``true``, ``false`` or ``null``: MONAI's command line reads Python, so that these
    words stay texts there, and a text is true.

    Raises:
        ValueError: the message names the setting and what to write.
    """
    for name, value in config.items():
        if isinstance(value, Mapping):
            refuse_json_words(value, f"{above}{name}#")
        elif value in ("true", "false", "null"):
            meant = {"true": "True", "false": "False", "null": "None"}[value]
            raise ValueError(f"{above}{name}: found the text {value!r}, which counts as true; write {meant}")


def plain(value: Any) -> Any:
    """A configuration as plain YAML types; anything else as its text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def scalars(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to ``{"a.b": scalar}``; lists and expressions of the configuration are left out."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found.update(scalars(item, f"{prefix}{key}."))
        elif isinstance(item, (int, float, bool)) or (isinstance(item, str) and not item.startswith(("$", "@"))):
            found[f"{prefix}{key}"] = item
    return found
