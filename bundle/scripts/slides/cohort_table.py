"""All slides of an output folder in one table (CSV, Parquet), from their records."""

from __future__ import annotations

import csv
import io
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic import atomic_path, write_text
from ..core.lock import locked
from .cohort_page import write_cohort_page
from .slide_record import read_record

__all__ = ["cohort_rows", "write_cohort"]

logger = logging.getLogger(__name__)

_PATIENCE = 60.0  # s that another process may take to write its table
_FIRST = ("slide", "name", "state")


def write_cohort(folder: str | Path, fingerprint: str = "", colours: Mapping[str, Sequence[int]] | None = None) -> int:
    """Write ``cohort.csv``, ``cohort.html`` and, where pyarrow is installed, ``cohort.parquet`` over a folder's slides.

    Each process of a cohort does so at its end: the last one's are of all slides.

    Args:
        folder: output folder.
        fingerprint: identifies networks and settings; records of others do not count.
        colours: ``{class: (red, green, blue)}`` for the page.

    Returns:
        The number of slides.

    Raises:
        OSError: a file cannot be written.
    """
    folder = Path(folder)
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with locked(folder / ".cohort.lock", "the cohort's table"):
                return _write(folder, cohort_rows(folder, fingerprint), colours or {})
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def cohort_rows(folder: str | Path, fingerprint: str = "") -> list[dict[str, Any]]:
    """A row for each slide, sorted by name: slide, name, state, numbers and texts of its result, areas, error."""
    rows = []
    for path in sorted(Path(folder).glob("*.json")):
        record = {} if path.stem.endswith("_areas") else read_record(folder, path.stem)
        if not record or record.get("fingerprint") != fingerprint:
            continue
        row = {"slide": record["slide"], "name": path.stem, "state": record["state"]}
        result = record.get("result") or {}
        row.update({key: value for key, value in result.items() if isinstance(value, (int, float, str))})
        if isinstance(result.get("mpp"), list):
            row.update(zip(("mpp_y", "mpp_x"), result["mpp"], strict=False))
        if isinstance(result.get("not_segmented"), dict):
            row["not segmented mm2"] = result["not_segmented"].get("mm2", 0.0)
        for name, values in (result.get("areas") or {}).items():
            row.update({f"{name} {key}": value for key, value in values.items()})
        rows.append(
            {**row, **{key: record[key] for key in ("seconds", "error") if key in record}, "areas": result.get("areas")}
        )
    return rows


def _write(folder: Path, rows: Sequence[dict[str, Any]], colours: Mapping[str, Sequence[int]]) -> int:
    found = dict.fromkeys(key for row in rows for key in row if key != "areas")
    columns = [*_FIRST, *(c for c in found if c not in _FIRST)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    write_text(folder / "cohort.csv", text.getvalue())
    _write_parquet(folder / "cohort.parquet", columns, rows)
    write_cohort_page(folder / "cohort.html", rows, colours)
    return len(rows)


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        logger.info("%s: not written, as pyarrow is not installed (pip install pyarrow)", path)
        return
    values = {column: [row.get(column) for row in rows] for column in columns}
    for column, found in values.items():  # one type each: a column of numbers, or of texts
        if any(isinstance(v, str) for v in found):
            values[column] = [None if v is None else str(v) for v in found]
        elif any(isinstance(v, float) for v in found):
            values[column] = [None if v is None else float(v) for v in found]
    with atomic_path(path) as temporary:
        parquet.write_table(pyarrow.table(values), temporary)
