"""The record of a stage: what its result depends on, and whether that is still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.environment import bundle_version
from ..core.file_states import FileStates
from ..core.raw_files import data_file

__all__ = ["RECORD", "Parts", "fingerprint", "length", "parts", "read_record", "reason"]

#: File of the record in a stage's folder.
RECORD = "stage.json"

#: What a fingerprint is made of: text or digest of each part.
Parts = dict[str, str]

# settings that say where, on what, how fast, how loudly and under which name a stage runs, not what it computes
_WHERE = {
    "output_dir", "model_dir", "dataset_dir", "pseudo_mask_dir", "bundle_root", "own", "experiment", "parent_run", "recipe",
    "device", "num_workers", "cache_num", "threads", "compile", "progress", "export_dir", "providers",
    "slides", "shard", "engine", "workers", "scheduler", "dry_run",
}  # fmt: skip
# of a training: another number of epochs is the same training, longer or shorter
_LENGTH = "max_epochs"
# what an entry of a datalist has files under; and other files, which may be absent
_FILES = ("image", "mask", "label", "file")


def parts(
    config: Mapping[str, Any],
    inputs: Sequence[str | Path],
    reads: Any = None,
    key: str = "",
    states: FileStates | None = None,
    progress: bool = False,
) -> Parts:
    """Everything that the result of a stage depends on, as a digest of each kind.

    Args:
        config: its configuration.
        inputs: files whose content counts.
        reads: entries of a datalist, in any nest of mappings and lists: their values count, and instead of paths under
            ``image``, ``mask``, ``label`` and ``file`` the content of the files.
        key: further values.
        states: states of files that are known already.
        progress: whether to show a progress bar.

    Returns:
        ``version``: of the bundle; ``settings``, ``files``, ``data``: digests.
    """
    states = FileStates() if states is None else states
    paths: list[Path] = []
    values = _without_paths(reads, paths)
    return {
        "version": bundle_version(),
        "settings": _digest([_computing(config), key]),
        "files": states.digest(inputs),
        "data": _digest([values, states.digest(paths, progress=progress)]),
    }


def fingerprint(made_of: Parts) -> str:
    """SHA-256 over the parts."""
    return _digest(made_of)


def length(config: Mapping[str, Any]) -> int | None:
    """Epochs that a training is asked for; ``None`` for other stages."""
    epochs = config.get(_LENGTH)
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else None


def read_record(folder: Path) -> dict[str, Any]:
    """Content of a stage's record; empty where there is none, or none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def reason(record: Mapping[str, Any], now: Parts, config: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Why a stage that has a record starts anew, in words.

    Args:
        record: its record.
        now: parts of its fingerprint as they are.
        config: its configuration.
        before: that of the record.
    """
    old = record.get("parts")
    if not isinstance(old, dict) or old.get("version") != now["version"]:
        version = f"version {old['version']}" if isinstance(old, dict) and "version" in old else "an earlier version"
        return f"{version} of the bundle made it, this is {now['version']} (upgrade.yaml lets that of 0.4 and 0.5 count)"
    if old.get("settings") != now["settings"]:
        then, today = _computing(before), _computing(config)
        names = [k for k in {**today, **then} if then.get(k) != today.get(k)]
        return f"other settings than before ({', '.join(names[:5])})" if names else "other settings than before"
    if old.get("data") != now["data"]:
        return "images, masks or labels have changed"
    if old.get("files") != now["files"]:
        return "files that it depends on have changed"
    return f"{record.get(_LENGTH)} epochs were asked for before, {length(config)} now"


def _computing(config: Mapping[str, Any]) -> Any:
    """The settings of a configuration that decide what is computed."""
    content = {k: v for k, v in config.items() if not (k == _LENGTH and length(config) is not None)}
    return json.loads(json.dumps(_without(content), sort_keys=True, default=str))


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without(v) for k, v in value.items() if k not in _WHERE}
    return [_without(v) for v in value] if isinstance(value, (list, tuple)) else value


def _without_paths(value: Any, paths: list[Path]) -> Any:
    """Values with the number of files in the place of their paths, which are put into ``paths``."""
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            named = list(_paths(item)) if key in _FILES else []
            paths += named
            found[key] = len(named) if named else _without_paths(item, paths)
        return found
    return [_without_paths(v, paths) for v in value] if isinstance(value, (list, tuple)) else value


def _paths(value: Any) -> Iterator[Path]:
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, (str, Path)):
            yield Path(item)
            if pixels := data_file(item):  # it is a header alone
                yield pixels


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=lambda v: v.tolist() if hasattr(v, "tolist") else str(v))
    return hashlib.sha256(text.encode()).hexdigest()
