"""The datalist JSON of a prepared dataset: facts, and entries per section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic import write_json
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.names import unique_names
from ..core.ranges import MPP, Number, shown
from .listing import is_text

__all__ = [
    "POSITION",
    "SECTIONS",
    "checked_entry",
    "is_inside",
    "is_position",
    "load_datalist",
    "read_datalist",
    "write_datalist",
]

SECTIONS = ("training", "validation", "test")
#: What an entry's position is.
POSITION = "two whole numbers, y and x in px of the region"
_PX = Number(-(2**31), 2**31)


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
    content = load_datalist(path)
    facts = DatasetFacts.from_dict(content, str(path))
    if facts.mask_values:
        raise ValueError(
            f"{path}: has mask_values, so the values of its masks are no class indices yet; run prepare.yaml with it as the "
            "source and layout 'datalist'"
        )
    entries = content.get(section, [])
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list under {section!r}, found {type(entries).__name__}")
    base = path.parent.resolve()
    result = [checked_entry(e, base, facts, f"{path}: {section} entry {k}", require) for k, e in enumerate(entries)]
    for entry, name in zip(result, unique_names([entry["image"] for entry in result]), strict=True):
        entry["name"] = name
    return result


def load_datalist(path: str | Path) -> dict[str, Any]:
    """Content of a datalist as it stands, unchecked but that it is a JSON object.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not readable as JSON, or no object.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; run prepare.yaml first, or name a prepared dataset_dir")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object with 'classes' and lists of entries, found {type(content).__name__}")
    return content


def checked_entry(
    entry: Any, base: Path, facts: DatasetFacts, where: str, require: Sequence[str] = ("image",)
) -> dict[str, Any]:
    """An entry whose fields are what they should be, with absolute paths.

    Args:
        entry: of a datalist.
        base: folder of the datalist.
        facts: of the dataset.
        where: file, section and number, for messages.
        require: keys that it must have.

    Raises:
        ValueError: a field that is missing or not what it should be, or a relative path that leaves the folder.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object, found {type(entry).__name__}")
    missing = [key for key in require if entry.get(key) is None]
    if missing:
        raise ValueError(f"{where}: lacks {missing}, found keys {sorted(entry)}")
    result = dict(entry)
    for key in ("image", "mask"):
        name = entry.get(key)
        if name is None and key not in require:
            continue
        if not isinstance(name, str) or not name or "\0" in name or not is_text(name):
            raise ValueError(f"{where}: found {key} {shown(name)}, expected the path of a file")
        if not is_inside(base, name):
            raise ValueError(f"{where}: {shown(name)} leaves the folder {base}")
        result[key] = str((base / name).resolve() if not Path(name).is_absolute() else Path(name))
    label = entry.get("label")
    if label is not None:
        if not isinstance(label, list) or len(label) != facts.num_classes or any(v not in (0, 1) for v in label):
            raise ValueError(
                f"{where} ({entry['image']}): found label {shown(label)}, expected {facts.num_classes} of 0 or 1"
            )
        result["label"] = [int(v) for v in label]
    for key in ("group", "region"):
        if not isinstance(entry.get(key), (str, int, type(None))):
            raise ValueError(f"{where} ({entry['image']}): found {key} {shown(entry[key])}, expected a name")
    if entry.get("mpp") is not None:
        MPP.check(entry["mpp"], f"{where} ({entry['image']}): mpp")
    if entry.get("position") is not None:
        if not is_position(entry["position"]):
            raise ValueError(f"{where} ({entry['image']}): found position {shown(entry['position'])}, expected {POSITION}")
        result["position"] = [int(v) for v in entry["position"]]
    return result


def write_datalist(path: str | Path, facts: DatasetFacts, sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write a datalist atomically; facts stand at its top level beside the sections."""
    write_json(path, {**facts.to_dict(), **{name: list(sections.get(name, [])) for name in SECTIONS}})


def is_position(value: Any) -> bool:
    """Whether an entry's position is two whole numbers."""
    return isinstance(value, list) and len(value) == 2 and all(v in _PX and float(v).is_integer() for v in value)


def is_inside(base: str | Path, name: str) -> bool:
    """Whether a path of a datalist in folder ``base`` is absolute (the user's own word) or stays inside the folder."""
    if Path(name).is_absolute():
        return True
    return "\0" not in name and (Path(base) / name).resolve().is_relative_to(Path(base).resolve())
