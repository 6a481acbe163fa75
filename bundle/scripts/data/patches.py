"""Entries of patches that lie in a folder, labelled by their names or by a table."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from .labels import label_from_name, labels_from_csv

__all__ = ["named_patches", "tabled_patches"]

logger = logging.getLogger(__name__)

Entries = list[dict[str, Any]]


def named_patches(files: Sequence[Path], facts: DatasetFacts) -> Entries:
    """Entries of patches with their labels in their names.

    Raises:
        ValueError: a name without label, or of other classes; the message says how many there are.
    """
    entries, faults = [], []
    for path in files:
        try:
            entries.append({"image": path, "label": label_from_name(path, facts.num_classes)})
        except ValueError as error:
            faults.append(str(error))
    if faults:
        others = f"; so have {len(faults) - 1} others of {len(files)} images" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{others}; labels may stand in a table labels.csv instead, with layout 'patches'")
    return entries


def tabled_patches(
    table: Path, files: Sequence[Path], places: Sequence[Path], dataset: Mapping[str, Any]
) -> tuple[DatasetFacts, Entries]:
    """Entries of patches that a table lists, each file once.

    Args:
        table: the table, see :func:`~.labels.labels_from_csv`.
        files: images that are at hand.
        places: folders that the table's names may be relative to.
        dataset: facts as far as they are given.

    Raises:
        FileNotFoundError: images that are listed and not there.
        ValueError: a file that is listed twice with different labels or groups, or leaves the folders; or a malformed table.
    """
    classes, rows = labels_from_csv(table, tuple(dataset.get("classes") or ()))
    facts = DatasetFacts.from_dict({**dataset, "classes": classes}, str(table))
    known: dict[str, set[Path]] = {}
    for path in files:
        names = {os.path.relpath(path, place) for place in places} | {path.name}
        for name in names:
            known.setdefault(_key(name), set()).add(path)
    entries: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    absent, again = [], 0
    for row in rows:
        name, line = row.pop("image"), row.pop("line")
        path = _find(f"{table}, line {line}", name, known, places)
        if path is None:
            absent.append(f"{table}, line {line}: lists {name!r:.200}")
            continue
        real = os.path.realpath(path)
        entry = {"image": path, **row}
        if real not in entries:
            entries[real], lines[real] = entry, line
        elif {**entries[real], "image": path} != entry:
            raise ValueError(
                f"{table}, line {line}: {name!r} is listed twice, as {_shown(entry)} here and as {_shown(entries[real])} in "
                f"line {lines[real]}; keep the right one"
            )
        else:
            again += 1
    if absent:
        others = f" (and {len(absent) - 1} others)" if len(absent) > 1 else ""
        raise FileNotFoundError(f"{absent[0]}{others}, which is neither in {' nor in '.join(map(str, places))}")
    if again:
        logger.info("%s: %d rows list a patch once more with the same label; each patch is taken once", table, again)
    left = [path for path in files if os.path.realpath(path) not in entries]
    if left:
        logger.warning("%s: lists %d of %d images, left out are %s%s", table, len(files) - len(left), len(files),
                       ", ".join(path.name for path in left[:3]), ", ..." if len(left) > 3 else "")  # fmt: skip
    _compare_with_names(table, facts, list(entries.values()))
    return _with_mpp(table, facts, list(entries.values()))


def _compare_with_names(table: Path, facts: DatasetFacts, entries: Entries) -> None:
    """Say where a table and the names of its patches differ: one of them is wrong, or in another order of classes."""
    named = []
    for entry in entries:
        with suppress(ValueError):  # names need no label
            named.append((entry, label_from_name(entry["image"], facts.num_classes)))
    others = [(entry, label) for entry, label in named if entry["label"] != label]
    if others:
        entry, label = others[0]
        logger.warning("%s: says other labels than the names of %d of %d patches, the first is %s: %s in the table, %s in "
                       "its name (classes %s); the table counts", table, len(others), len(named), entry["image"].name,
                       entry["label"], label, ", ".join(facts.classes))  # fmt: skip


def _with_mpp(table: Path, facts: DatasetFacts, entries: Entries) -> tuple[DatasetFacts, Entries]:
    """One µm/px for all patches is the dataset's."""
    values = {entry.get("mpp") for entry in entries}
    if len(values) == 1 and None not in values and facts.mpp in (None, *values):
        facts = replace(facts, mpp=values.pop())
        for entry in entries:
            del entry["mpp"]
    elif values != {None}:
        logger.warning("%s: patches of %s µm/px, the dataset's is %s; they are not resampled to one", table,
                       ", ".join([str(value) for value in sorted(values, key=str)][:5]), facts.mpp)  # fmt: skip
    return facts, entries


def _find(where: str, name: str, known: Mapping[str, set[Path]], places: Sequence[Path]) -> Path | None:
    """The file that a table means: relative to one of the folders, or the only one of that name."""
    there = [path for path in (Path(place) / name for place in places) if os.path.isfile(path)]  # no name, no error
    if not all(any(Path(os.path.abspath(path)).is_relative_to(os.path.abspath(p)) for p in places) for path in there):
        raise ValueError(f"{where}: {name!r} leaves the folder")
    found = set({os.path.realpath(path): path for path in reversed(there)}.values()) or known.get(_key(name), set())
    if len(found) > 1:
        first, second = sorted(found)[:2]
        raise ValueError(f"{where}: {name!r} may be {first} or {second}; write the path below {places[0]}")
    return next(iter(found), None)


def _key(name: str) -> str:
    """A path as all systems and spreadsheets spell it."""
    return unicodedata.normalize("NFC", os.path.normpath(name.replace("\\", "/")))


def _shown(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in entry.items() if key != "image")
