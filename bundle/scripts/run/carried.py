"""Records of earlier versions: how they knew a stage again, and what is noted of one that counts as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.digest import file_sha256
from ..core.environment import bundle_version
from .record import Parts

__all__ = ["carried", "carry", "earlier_fingerprint"]

_WHERE = {"output_dir", "model_dir", "dataset_dir", "bundle_root", "parent_run", "experiment", "progress", "recipe", "own"}
# what this version has other words for, or does not count
_LEFT_OUT = {*_WHERE, "imports", "run", "stage", "device", "num_workers", "cache_num", "compile", "threads", "max_epochs"}


def earlier_fingerprint(config: Mapping[str, Any], inputs: Sequence[str | Path], key: str = "None") -> str:
    """The fingerprint of versions 0.4 and 0.5: over the configuration, the content of input files, and a key."""
    digest = hashlib.sha256()
    relevant = {k: v for k, v in config.items() if k not in _WHERE}
    digest.update(json.dumps([relevant, key], sort_keys=True, default=str).encode())
    for path in map(Path, inputs):
        digest.update(bytes.fromhex(file_sha256(path)) if path.is_file() else b"absent")
    return digest.hexdigest()


def carry(config: Mapping[str, Any], inputs: Sequence[str | Path]) -> dict[str, Any]:
    """What a record of an earlier version needs to count on in this one: its settings, and the state of its inputs."""
    return {"version": bundle_version(), "settings": _settings(config), "files": {str(p): file_sha256(p) for p in inputs}}


def carried(record: Mapping[str, Any], config: Mapping[str, Any], now: Parts) -> dict[str, Any] | None:
    """What :func:`carry` noted of a stage of an earlier version, if a configuration asks for the very same; else ``None``.

    Configurations of then had other words for some things, so that what both have a value for is compared. What they read of
    a dataset was not recorded: it is noted where it is not yet, and counts from then on.

    Args:
        record: record of the stage.
        config: configuration of today.
        now: see :func:`~.record.parts`.
    """
    noted = record.get("carried")
    whole = isinstance(noted, dict) and all(isinstance(noted.get(k), dict) for k in ("settings", "files"))
    if not whole or noted.get("version") != now["version"]:
        return None
    before, today = noted["settings"], _settings(config)
    if any(before[key] != today[key] for key in before.keys() & today.keys()):
        return None
    same = all(Path(p).is_file() and file_sha256(p) == digest for p, digest in noted["files"].items())
    return {**noted, "data": now["data"]} if same and noted.get("data") in (None, now["data"]) else None


def _settings(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """``{"a.b": value}`` of numbers, texts, truth values and lists of them; neither places nor names of components."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if (not above and key in _LEFT_OUT) or key == "_target_":
            continue
        if isinstance(value, Mapping):
            found.update(_settings(value, f"{above}{key}."))
        elif isinstance(value, list):
            if all(isinstance(v, (str, int, float)) for v in value):
                found[f"{above}{key}"] = value
        elif not (isinstance(value, str) and value.startswith(("$", "@", "%"))) and not (key == "layers" and value is None):
            found[f"{above}{key}"] = value
    return found
