"""The configuration that a MONAI workflow is running: checked, and as data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml
from monai.bundle import ConfigExpression, ConfigParser, ConfigWorkflow, ReferenceResolver
from monai.bundle.utils import ID_SEP_KEY

from .arguments import no_such
from .config_check import checked, shipped
from .config_parts import is_expression
from .devices import checked_device
from .errors import root_cause
from .own import load_own
from .ranges import shown

__all__ = ["check_settings", "checked_overrides", "plain", "running_config", "scalars"]


def check_settings(name: str) -> None:
    """Check the configuration that a MONAI workflow is running, and put right what is spelt otherwise than it is meant: the
    first entry of its ``run``.

    Files of one's own (``own``) are imported before.

    Args:
        name: name of the config file in ``configs`` that the configuration starts from.

    Raises:
        ValueError: see :func:`checked`; or a device that is not there.
    """
    parser = _running_parser()
    if parser is None:
        return
    load_own(parser.config.get("own"))  # what is checked may name its classes
    files, resolver = _config_files(parser), parser.ref_resolver
    meant = checked(parser.config, name, ConfigParser.load_config_files(files) if files else None)
    _check_device(parser.config, name)
    for id, value in meant.items():
        *above, last = path = id.split("#")
        ids = [ID_SEP_KEY.join(path[: depth + 1]) for depth in range(len(path))]
        if any(i in resolver.resolved_content for i in ids):
            raise ValueError(f"{id}: found {parser[id]!r}, which was used before it was checked; write {value}")
        # setting an item of the parser would make it forget what it is evaluating
        holder = parser[ID_SEP_KEY.join(above)]
        holder[last if isinstance(holder, dict) else int(last)] = value
        if is_expression(value):
            resolver.items[ids[-1]] = ConfigExpression(value, ids[-1], globals=parser.globals)
        else:
            resolver.items[ids[-1]].update_config(value)


def checked_overrides(name: str, files: Sequence[str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of a workflow that is not opened yet, with all that is spelt otherwise than it is meant put right.

    Args:
        name: name of the config file in ``configs`` that the configuration starts from.
        files: config files, in the order in which they are merged.
        overrides: values by their ids.

    Raises:
        ValueError: a config file that is no YAML; an id that leads nowhere; or see :func:`checked`.
    """
    try:
        parser = ConfigParser(ConfigParser.load_config_files(files))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # YAML's names the file, over several lines
        raise ValueError(f"{', '.join(files)}: not readable as YAML: {' '.join(str(error).split())}") from error
    except (AttributeError, TypeError) as error:  # MONAI's, which takes a mapping for granted
        raise ValueError(f"{', '.join(files)}: expected settings by their names, 'name: value'") from error
    for id, value in overrides.items():
        try:
            parser[id] = deepcopy(value)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(_nowhere(parser.config, id, f"{name}.yaml")) from error
    meant = checked(parser.config, name, ConfigParser.load_config_files(files))
    _check_device(parser.config, name)
    return {**overrides, **meant}


def _check_device(config: Mapping[str, Any], name: str) -> None:
    """Refuse a device that is not there, named by an expression other than the shipped one, which asks what is there."""
    expression = config.get("device")
    if not is_expression(expression) or expression == shipped(f"{name}.yaml").get("device"):
        return
    try:
        device = ConfigParser(dict(config)).get_parsed_content("device")
    except Exception as error:  # whatever the expression raises
        raise ValueError(f"device: {expression} cannot be evaluated: {root_cause(error)}") from error
    try:
        checked_device(device)
    except ValueError as error:
        raise ValueError(f"device: {expression}: {error}") from error


def running_config() -> dict[str, Any]:
    """The raw configuration of the MONAI workflow that is evaluating this expression; empty outside one."""
    parser = _running_parser()
    return {} if parser is None else {k: v for k, v in deepcopy(parser.config).items() if k != parser.meta_key}


def plain(value: Any) -> Any:
    """A configuration as plain YAML types; anything else as its text. Bytes of paths that are not UTF-8 are escaped."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (int, float, bool, type(None))):
        return value
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def scalars(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to ``{"a.b": scalar}``; lists and expressions of the configuration are left out."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found.update(scalars(item, f"{prefix}{key}."))
        elif isinstance(item, (int, float, bool)) or (isinstance(item, str) and not item.startswith(("$", "@"))):
            found[f"{prefix}{key}"] = item
    return found


def _running_parser() -> ConfigParser | None:
    """The parser of the MONAI workflow that is evaluating this expression; ``None`` outside one.

    A configuration cannot name itself whole, so the innermost parser on the call stack is taken.
    """
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        parser = owner if isinstance(owner, ConfigParser) else getattr(owner, "__dict__", {}).get("parser")
        if isinstance(parser, ConfigParser):
            return parser
        frame = frame.f_back
    return None


def _config_files(parser: ConfigParser) -> Any:
    """The config files of the workflow of a parser; ``None`` where they cannot be known.

    A workflow forgets its files: who has opened it knows them, ``monai.bundle run`` or the pipeline.
    """
    frame = inspect.currentframe()
    while frame is not None:
        workflow = frame.f_locals.get("workflow")
        if isinstance(workflow, ConfigWorkflow) and workflow.parser is parser:
            return frame.f_locals.get("config_file")
        frame = frame.f_back
    return None


def _nowhere(config: Any, id: str, owner: str) -> str:
    """Message about an id that leads nowhere: the part of it that is not there."""
    path = ReferenceResolver.split_id(id)
    for depth, key in enumerate(path):
        place = "#".join(path[:depth]) or owner
        if isinstance(config, Mapping):
            if key not in config:
                return f"{id}: {no_such(key, place, (k for k in config if not str(k).startswith('_')))}"
            config = config[key]
        elif isinstance(config, list):
            if not key.isdigit() or int(key) >= len(config):
                return f"{id}: {place} has the parts 0 to {len(config) - 1}, found {key!r}"
            config = config[int(key)]
        else:
            return f"{id}: {place} is {shown(config)}, which has no part {key!r}"
    return f"{id}: nothing that can be set"
