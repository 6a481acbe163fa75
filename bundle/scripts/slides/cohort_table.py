"""All slides of an output folder in one table (CSV, Parquet) and on one page, from their records."""

from __future__ import annotations

import csv
import html
import io
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.atomic import atomic_path, write_text
from ..core.lock import locked
from ..core.pictures import data_uri
from .slide_record import read_record

__all__ = ["cohort_rows", "write_cohort"]

logger = logging.getLogger(__name__)

_THUMBNAIL = 200  # px
_PATIENCE = 60.0  # s that another process may take to write its table
_FIRST = ("slide", "name", "state")
_COLOURS = ("#cd3333", "#00a050", "#4169e1", "#ffa500", "#9400d3", "#00bebe", "#e650a0", "#8c6e3c", "#78c814", "#5a5a5a")


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
    write_text(folder / "cohort.html", _page(folder, rows, colours))
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


def _page(folder: Path, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, Sequence[int]]) -> str:
    classes = list(dict.fromkeys(name for row in rows for name in row["areas"] or {}))
    paint = {
        name: "rgb({},{},{})".format(*colours[name]) if name in colours else _COLOURS[k % len(_COLOURS)]
        for k, name in enumerate(classes)
    }
    states = [row["state"] for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    legend = "".join(f'<span><i style="background:{c}"></i>{html.escape(n)}</span>' for n, c in paint.items())
    return _PAGE.format(
        summary=f"{len(rows)} slides: {counts}" if rows else "no slides",
        legend=legend,
        head="".join(f"<th>{html.escape(name)}, mm²</th>" for name in classes),
        body="\n".join(_row(folder, row, classes, paint) for row in rows),
    )


def _row(folder: Path, row: Mapping[str, Any], classes: Sequence[str], paint: Mapping[str, str]) -> str:
    areas = row["areas"] or {}
    picture = ""
    with suppress(OSError, ValueError), Image.open(folder / f"{row['name']}_overlay.jpg") as image:
        image.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))  # decoded at a fraction of its size
        picture = f'<img src="{data_uri(np.asarray(image.convert("RGB")), _THUMBNAIL)}" alt="">'
    shares = [(name, areas[name].get("percent", 0)) for name in classes if name in areas]
    bar = "".join(f'<b style="width:{share}%;background:{paint[name]}"></b>' for name, share in shares if share)
    cells = "".join(f"<td>{_number(areas.get(name, {}))}</td>" for name in classes)
    said = html.escape(row.get("error") or row["state"])
    return (
        f'<tr><td>{picture}</td><td title="{html.escape(row["slide"])}">{html.escape(row["name"])}</td>'
        f'<td class="{row["state"].replace(" ", "-")}">{said}</td><td><div>{bar}</div></td>{cells}</tr>'
    )


def _number(values: Mapping[str, Any]) -> str:
    if "mm2" in values:
        return f"{values['mm2']:.4g}<br><small>{values.get('percent', 0):.1f} %</small>"
    return f"{values['percent']:.1f} %" if "percent" in values else ""


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Cohort</title><style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }} td, th {{ padding: 4px 10px; border-bottom: 1px solid #ddd; text-align: left; }}
td div {{ width: 180px; height: 14px; display: flex; background: #eee; }} td b {{ display: block; }}
span {{ margin-right: 1.5em; }} i {{ display: inline-block; width: 12px; height: 12px; margin-right: 5px; }}
.failed, .given-up {{ color: #b00; max-width: 30em; }}
</style></head><body>
<h1>Cohort</h1><p>{summary}</p><p>{legend}</p>
<table><thead><tr><th></th><th>slide</th><th>state</th><th>share of tissue</th>{head}</tr></thead><tbody>
{body}
</tbody></table></body></html>
"""
