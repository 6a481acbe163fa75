"""Image-level labels, from file names or a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["label_from_name", "labels_from_csv"]

_BRACKETS = re.compile(r"\[([01](?:[\s,]*[01])*)\]$")
_TRUE = {"1", "1.0", "true", "yes", "x"}
_FALSE = {"0", "0.0", "false", "no", ""}


def label_from_name(path: str | Path, num_classes: int) -> list[int]:
    """Read the label at the end of a file's stem.

    Both published forms are known: LUAD-HistoSeg's ``…[1 0 0 1].png`` (also with commas) and BCSS-WSSS's
    ``…[1101].png``.

    Args:
        path: file whose stem ends with the label.
        num_classes: number of classes C.

    Returns:
        C values of 0 or 1.

    Raises:
        ValueError: no label at the end of the stem, or one of another length; the message names the file.
    """
    found = _BRACKETS.search(Path(path).stem)
    if found is None:
        raise ValueError(f"{path}: found no label at the end of its name, expected one like [1 0 0 1] or [1001]")
    label = [int(c) for c in found.group(1) if c in "01"]
    if len(label) != num_classes:
        raise ValueError(f"{path}: found a label of {len(label)} classes, expected {num_classes}")
    return label


def labels_from_csv(path: str | Path, classes: Sequence[str] = ()) -> tuple[list[str], dict[str, list[int]]]:
    """Read a table with an ``image`` column and a column per class, of 0 and 1.

    Args:
        path: CSV file with a header; comma, semicolon or tab.
        classes: classes expected, in this order; those of the header by default. Other columns are not allowed.

    Returns:
        The classes, and ``{image as written: label}``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a malformed table; the message names file, line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a table of labels")
    text = path.read_text(encoding="utf-8-sig")
    header = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=header.count)
    rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    if not rows or not rows[0] or rows[0][0].strip().lower() != "image":
        raise ValueError(f"{path}: found header {header!r}, expected 'image' and then a column per class")
    columns = [c.strip() for c in rows[0][1:]]
    wanted = list(classes) or columns
    if sorted(columns) != sorted(wanted) or not columns:
        raise ValueError(f"{path}: found columns {columns}, expected one for each class {wanted}")
    labels: dict[str, list[int]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns) + 1:
            raise ValueError(f"{path}, line {number}: found {len(row)} cells, expected {len(columns) + 1}")
        values = {}
        for column, cell in zip(columns, row[1:], strict=True):
            word = cell.strip().lower()
            if word not in _TRUE | _FALSE:
                raise ValueError(f"{path}, line {number}, column {column!r}: found {cell!r}, expected 0 or 1")
            values[column] = int(word in _TRUE)
        image = row[0].strip()
        if image in labels:
            raise ValueError(f"{path}, line {number}: {image!r} is listed twice")
        labels[image] = [values[c] for c in wanted]
    if not labels:
        raise ValueError(f"{path}: found no rows below the header")
    return wanted, labels
