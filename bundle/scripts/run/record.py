"""The record of a stage: what it was made from, and whether that is still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.digest import file_sha256

__all__ = ["RECORD", "carried", "carry", "fingerprint", "read_record"]

#: File of the record in a stage's folder.
RECORD = "stage.json"
# settings that say where, how loudly and under which name a stage runs, not what it computes
_WHERE = {"output_dir", "model_dir", "dataset_dir", "bundle_root", "parent_run", "experiment", "progress", "recipe", "own"}


def fingerprint(config: Mapping[str, Any], inputs: Sequence[str | Path], key: str = "") -> str:
    """SHA-256 over what a configuration computes, the content of its input files, and a key."""
    digest = hashlib.sha256()
    relevant = {k: v for k, v in config.items() if k not in _WHERE}
    digest.update(json.dumps([relevant, key], sort_keys=True, default=str).encode())
    for path in map(Path, inputs):
        digest.update(bytes.fromhex(file_sha256(path)) if path.is_file() else b"absent")
    return digest.hexdigest()


def read_record(folder: Path) -> dict[str, Any]:
    """Content of a stage's record; empty where there is none, or none that can be read."""
    try:
        return json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def carry(config: Mapping[str, Any], inputs: Sequence[str | Path]) -> dict[str, Any]:
    """What a record of version 0.4 needs to count on: its settings, and the state of its inputs."""
    return {"settings": _settings(config), "files": {str(p): file_sha256(p) for p in inputs}}


def carried(record: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What :func:`carry` noted of a stage of version 0.4, if a configuration asks for the very same; else ``None``.

    Configurations of 0.4 had other words for some things, so that what both have a value for is compared.
    """
    noted = record.get("carried")
    if noted is None:
        return None
    before, now = noted["settings"], _settings(config)
    if any(before[key] != now[key] for key in before.keys() & now.keys()):
        return None
    same = all(Path(p).is_file() and file_sha256(p) == digest for p, digest in noted["files"].items())
    return noted if same else None


def _settings(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """``{"a.b": value}`` of numbers, texts, truth values and lists of them; neither places nor names of components."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if (not above and key in {*_WHERE, "imports", "run", "stage"}) or key == "_target_":
            continue
        if isinstance(value, Mapping):
            found.update(_settings(value, f"{above}{key}."))
        elif isinstance(value, list):
            if all(isinstance(v, (str, int, float)) for v in value):
                found[f"{above}{key}"] = value
        elif not (isinstance(value, str) and value.startswith(("$", "@", "%"))) and not (key == "layers" and value is None):
            found[f"{above}{key}"] = value
    return found
