"""The table of answers that a label page exports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.paths import shown
from ..data.tables import read_table
from .write_round import COLUMNS

__all__ = ["Answer", "Answers", "read_answers"]

_MARKS = {"0": 0, "1": 1}
#: Seconds that a patch may take; the page leaves out pauses.
_LONGEST = 86_400.0


@dataclass(frozen=True)
class Answer:
    """What somebody said of a patch.

    Args:
        image: as the table names it.
        label: 0 or 1 for each class; ``None``: cannot tell.
        seconds: that it took; ``None``: not known.
        annotator: who.
        again: the label at a second look; empty: cannot tell; ``None``: there was none.
    """

    image: str
    label: tuple[int, ...] | None
    seconds: float | None
    annotator: str
    again: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Answers:
    """A table of answers.

    Args:
        path: its file.
        classes: names of the classes.
        rows: one answer of each patch.
    """

    path: Path
    classes: tuple[str, ...]
    rows: list[Answer]


def read_answers(path: str | Path, classes: Sequence[str] = ()) -> Answers:
    """Read a table of answers.

    Args:
        path: its file.
        classes: classes that it must have, in this order; those of the table by default.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a malformed table; the message names file, line and column.
    """
    table = read_table(path, "image")
    names = {name.lower() if name.lower() in COLUMNS else name: k for k, name in enumerate(table.columns)}
    found = [name for name in names if name not in COLUMNS]
    wanted = tuple(classes) or tuple(found)
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(f"{shown(table.path)}: found the classes {found}, expected {list(wanted)}: it lacks {missing}")
    if not wanted:
        raise ValueError(f"{shown(table.path)}: found columns {table.columns}, expected one for each class beside them")
    rows: dict[str, Answer] = {}
    for line, cells in table.rows:
        where = f"{shown(table.path)}, line {line}"
        cell = {name: cells[k] for name, k in names.items()}
        if not cell["image"]:
            raise ValueError(f"{where}: names no image")
        if cell["image"] in rows:
            raise ValueError(f"{where}: {cell['image']!r} is listed twice; keep the right line")
        rows[cell["image"]] = Answer(
            cell["image"],
            None if cell.get("cannot_tell") in ("1", "1.0") else tuple(_mark(cell[name], name, where) for name in wanted),
            _seconds(cell.get("seconds", ""), where),
            cell.get("annotator", ""),
            _again(cell.get("again", ""), [found.index(name) for name in wanted], len(found), where),
        )
    return Answers(table.path, wanted, list(rows.values()))


def _mark(cell: str, name: str, where: str) -> int:
    if cell.removesuffix(".0") not in _MARKS:
        raise ValueError(f"{where}, column {name!r}: found {cell[:80]!r}, expected 0 or 1")
    return _MARKS[cell.removesuffix(".0")]


def _seconds(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{where}, column 'seconds': found {cell[:80]!r}, expected seconds, 0 to {_LONGEST:g}")
    return value


def _again(cell: str, order: Sequence[int], count: int, where: str) -> tuple[int, ...] | None:
    """Marks of the wanted classes; the cell has those of the table's, in its order."""
    if not cell:
        return None
    if cell == "?":
        return ()
    marks = re.split(r"\s+", cell)
    if len(marks) != count or any(mark not in _MARKS for mark in marks):
        raise ValueError(f"{where}, column 'again': found {cell[:80]!r}, expected {count} values of 0 or 1, or '?'")
    return tuple(_MARKS[marks[k]] for k in order)
