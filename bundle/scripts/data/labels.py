"""Image-level labels, from file names or a table, and what else a table says of its patches."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.arguments import nearest
from ..core.ranges import MPP
from .tables import Table, read_table

__all__ = ["label_from_name", "labels_from_csv"]

_BRACKETS = re.compile(r"\[([01](?:[\s,]*[01])*)\]$")
logger = logging.getLogger(__name__)
_TRUE = {"1", "1.0", "true", "yes", "x"}
_FALSE = {"0", "0.0", "false", "no", ""}
# columns that say which patches belong together, the widest first, and in which region a position is counted
_GROUPS = ("group", "patient", "pid", "mrn", "case", "subject", "donor", "specimen", "biopsy", "slide", "wsi")
_REGIONS = ("region", "roi", "slide", "wsi")
_POSITIONS = (("position",), ("position_y", "position_x"), ("y", "x"))
# and columns that are no tissue either
_OTHERS = {
    *_GROUPS, *_REGIONS, "position", "position_y", "position_x", "mpp",
    "split", "fold", "section", "subset", "set", "age", "sex", "gender", "date", "site", "center", "centre", "hospital",
    "scanner", "stain", "magnification", "level", "width", "height", "xmin", "ymin", "xmax", "ymax", "row", "column", "col",
    "index", "number", "id", "name", "path", "file", "filename", "mask", "comment", "comments", "note", "notes",
    "train", "training", "val", "valid", "validation", "test", "testing", "holdout", "cohort", "study", "batch", "year",
    "institution", "institute", "lab", "annotator", "rater", "reader", "observer", "pathologist", "sample", "quality",
    "exclude", "include", "label", "target", "weight", "seconds", "again", "again_seconds", "cannot_tell",
}  # fmt: skip


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


def labels_from_csv(path: str | Path, classes: Sequence[str] = ()) -> tuple[list[str], list[dict[str, Any]]]:
    """Read a table with an ``image`` column and a column per class, of 0 and 1.

    Columns of other names are no classes where ``classes`` names these. Where not, columns are that by their name: ``group``
    (or ``patient``, ``case``, ``slide``, ...), ``region``, ``position`` (or ``y`` and ``x``), ``mpp``, ``cannot_tell`` (a
    row with 1 is left out), and some that are not used, such as ``split`` or ``age``; all others must be of 0 and 1 and are
    the classes.

    Args:
        path: table, see :func:`~.tables.read_table`.
        classes: classes expected, in this order; those of the header by default.

    Returns:
        The classes, and a mapping per row: ``image`` as written, ``label`` (0 or 1 for each class), ``line`` in the file,
        and where the table says so ``group``, ``region``, ``position`` (y, x in px) and ``mpp`` (µm/px).

    Raises:
        FileNotFoundError: no such file.
        ValueError: a malformed table; the message names file, line and column.
    """
    table, classes = read_table(path, "image"), [str(name) for name in classes]
    image = next(k for k, name in enumerate(table.columns) if name.lower() == "image")
    places = {_plain(name): k for k, name in enumerate(table.columns) if k != image and name not in classes}
    used = _used(table, places)
    wanted = _classes(table, classes, {image, *(k for columns in used.values() for k in columns)})
    unsure = places.get("cannot_tell")
    rows, left_out = [], 0
    for line, cells in table.rows:
        where = f"{table.path}, line {line}"
        if unsure is not None and cells[unsure].lower() in _TRUE:
            left_out += 1
            continue
        if not cells[image]:
            raise ValueError(f"{where}: names no image")
        row = {
            "image": cells[image],
            "line": line,
            "label": [_mark(cells[k], name, where, classes) for name, k in wanted.items()],
        }
        for key, columns in used.items():
            found = _value(key, [cells[k] for k in columns], f"{where}, column {table.columns[columns[0]]!r}")
            if found is not None:
                row[key] = found
        rows.append(row)
    if left_out:
        logger.info("%s: %d patches are left out, of which somebody could not tell what they show", table.path, left_out)
    if not rows:
        raise ValueError(f"{table.path}: found no rows below the header" + (" that tell" if left_out else ""))
    return list(wanted), rows


def _plain(name: str) -> str:
    """A column's name without case, blanks and ``id``: ``Patient ID`` is ``patient``."""
    words = re.sub(r"([a-z])(ID|Id)$", r"\1_id", name.strip()).lower()
    words = re.sub(r"[\s_.-]+", "_", words)
    if words in _OTHERS:
        return words
    return re.sub(r"_?id$|_(name|no|nr|number)$", "", re.sub(r"^(is|in)_", "", words)) or words


def _used(table: Table, places: Mapping[str, int]) -> dict[str, list[int]]:
    """Columns that are read beside the labels."""
    used = {}
    for key, names in (("group", _GROUPS), ("region", _REGIONS)):
        found = [places[name] for name in names if name in places]
        if found:
            used[key] = found[:1]
    for names in _POSITIONS:
        found = [places[name] for name in names if name in places]
        # classes may be called x and y, too
        marks = len(names[0]) == 1 and all(row[k].lower() in _TRUE | _FALSE for _, row in table.rows for k in found)
        if len(found) == len(names) and not marks:
            used["position"] = found
            break
    if "mpp" in places:
        used["mpp"] = [places["mpp"]]
    if "group" in used:
        logger.info("%s: column %r says which patches belong together", table.path, table.columns[used["group"][0]])
    return used


def _classes(table: Table, classes: Sequence[str], used: set[int]) -> dict[str, int]:
    """Classes and their columns; says which columns are not used, and where nobody named them, which are the classes."""
    left = {name: k for k, name in enumerate(table.columns) if k not in used}
    if classes:
        missing = [name for name in classes if name not in left]
        if missing:
            alike = [name for name in left if name.casefold() == missing[0].casefold()]
            near = alike[0] if alike else nearest(missing[0], left)
            raise ValueError(
                f"{table.path}: found columns {list(left)}, expected one for each class {list(classes)}: it lacks {missing}"
                + (f"; is {near!r} meant?" if near else "")
            )
        found = {name: left[name] for name in classes}
    else:
        found = {name: k for name, k in left.items() if _plain(name) not in _OTHERS and not name.startswith("Unnamed: ")}
        if not found:
            raise ValueError(f"{table.path}: found columns {table.columns}, expected one for each class beside them")
        logger.info("%s: classes taken from the table: %s", table.path, ", ".join(found))
    if len(found) < len(left):
        logger.info("%s: columns that are not used: %s", table.path, ", ".join(name for name in left if name not in found))
    return found


def _mark(cell: str, name: str, where: str, classes: Sequence[str]) -> int:
    word = cell.lower()
    if word not in _TRUE | _FALSE:
        hint = "" if classes else "; if it is no tissue, name those that are: --dataset \"{'classes': [...]}\""
        raise ValueError(f"{where}, column {name!r}: found {cell[:80]!r}, expected 0 or 1{hint}")
    return int(word in _TRUE)


def _value(key: str, cells: Sequence[str], where: str) -> Any:
    if key in ("group", "region"):
        if not cells[0] and key == "group":
            raise ValueError(f"{where}: is empty, expected what the patch belongs to")
        return cells[0] or None
    if not any(cells):
        return None
    numbers = []
    parts = re.split(r"[\s,;x]+", cells[0].strip("()[] ")) if key == "position" and len(cells) == 1 else cells
    for part in parts:
        try:
            # 1,024 and 1.024 may be a thousand, or a fraction
            grouped = key == "position" and re.search(r"\d[.,]\d{3}$", part.strip())
            numbers.append(float("nan") if grouped else float(part.replace(",", ".")))
        except ValueError:
            numbers.append(float("nan"))
    if key == "mpp":
        if numbers[0] not in MPP:
            raise ValueError(f"{where}: found {cells[0][:80]!r}, expected {MPP}")
        return numbers[0]
    if len(numbers) != 2 or not all(number.is_integer() for number in numbers):
        raise ValueError(f"{where}: found {' '.join(cells)[:80]!r}, expected whole numbers, y and x in px of the region")
    return [int(number) for number in numbers]
