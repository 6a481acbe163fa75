"""The datalist JSON of a prepared dataset: facts, and entries per section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic import write_json
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.names import unique_names

__all__ = ["POSITION", "SECTIONS", "is_inside", "is_position", "read_datalist", "write_datalist"]

SECTIONS = ("training", "validation", "test")
#: What an entry's position is.
POSITION = "two whole numbers, y and x in px of the region"


def read_datalist(
    dataset_dir: str | Path, section: str, require: Sequence[str] = ("image", "label")
) -> list[dict[str, Any]]:
    """Read one section of ``<dataset_dir>/datalist.json``.

    Args:
        dataset_dir: prepared dataset, or the path of a datalist itself.
        section: ``training``, ``validation`` or ``test``; an absent one is empty.
        require: keys that every entry must have.

    Returns:
        Entries with absolute paths in ``image`` and ``mask``, ``label`` as list of 0/1, ``position`` as two integers, and a
        unique ``name`` (see :func:`~scripts.core.unique_names`).

    Raises:
        FileNotFoundError: no datalist.
        ValueError: a malformed file or entry, or a relative path that leaves the folder; the message names it.
    """
    path = Path(dataset_dir)
    path = path if path.suffix == ".json" else path / DATALIST_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; run prepare.yaml first, or name a prepared dataset_dir")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    facts = DatasetFacts.from_dict(content, str(path))
    entries = content.get(section, [])
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list under {section!r}, found {type(entries).__name__}")
    base = path.parent.resolve()
    result = [_entry(entry, base, facts, require, f"{path}: {section} entry {k}") for k, entry in enumerate(entries)]
    for entry, name in zip(result, unique_names([entry["image"] for entry in result]), strict=True):
        entry["name"] = name
    return result


def write_datalist(path: str | Path, facts: DatasetFacts, sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write a datalist atomically; facts stand at its top level beside the sections."""
    write_json(path, {**facts.to_dict(), **{name: list(sections.get(name, [])) for name in SECTIONS}})


def _entry(entry: Any, base: Path, facts: DatasetFacts, require: Sequence[str], where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object, found {type(entry).__name__}")
    missing = [key for key in require if entry.get(key) is None]
    if missing:
        raise ValueError(f"{where}: lacks {missing}, found keys {sorted(entry)}")
    result = dict(entry)
    for key in ("image", "mask"):
        if entry.get(key) is not None:
            result[key] = str(_resolve(base, str(entry[key]), where))
    label = entry.get("label")
    if label is not None:
        if not isinstance(label, list) or len(label) != facts.num_classes or any(v not in (0, 1) for v in label):
            raise ValueError(f"{where} ({entry.get('image')}): found label {label}, expected {facts.num_classes} of 0 or 1")
        result["label"] = [int(v) for v in label]
    if not isinstance(entry.get("group"), (str, int, type(None))):
        raise ValueError(f"{where} ({entry.get('image')}): found group {entry['group']!r}, expected a name")
    if entry.get("position") is not None:
        if not is_position(entry["position"]):
            raise ValueError(f"{where} ({entry.get('image')}): found position {entry['position']!r}, expected {POSITION}")
        result["position"] = [int(v) for v in entry["position"]]
    return result


def is_position(value: Any) -> bool:
    """Whether an entry's position is two whole numbers."""
    numbers = isinstance(value, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    return numbers and len(value) == 2 and all(float(v).is_integer() for v in value)


def is_inside(base: str | Path, name: str) -> bool:
    """Whether a path of a datalist in folder ``base`` is absolute (the user's own word) or stays inside the folder."""
    return Path(name).is_absolute() or (Path(base) / name).resolve().is_relative_to(Path(base).resolve())


def _resolve(base: Path, name: str, where: str) -> Path:
    if not is_inside(base, name):
        raise ValueError(f"{where}: {name!r} leaves the folder {base}")
    return (base / name).resolve() if not Path(name).is_absolute() else Path(name)
