"""The page over all slides of an output folder, from the rows of their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.facts import DatasetFacts
from ..core.paths import shown
from ..core.pictures import data_uri
from ..pages import Page, Verdict, number, percent, share_bar, table, write_page

__all__ = ["write_cohort_page"]

_THUMBNAIL = 200  # px
_FINISHED = "finished"


def write_cohort_page(
    path: str | Path, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, Sequence[int]] | None = None
) -> Path:
    """Write the page: a row for each slide with its picture, state or error, and areas.

    Args:
        path: target, in the folder of the slides' overlays.
        rows: of :func:`~.cohort_table.cohort_rows`.
        colours: ``{class: (red, green, blue)}`` in the classes' order; others are drawn from a default list.
    """
    path, facts = Path(path), _facts(rows, colours or {})
    states = [row["state"] for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    unfinished = [row["name"] for row in rows if row["state"] != _FINISHED]
    page = Page(
        "Cohort",
        facts,
        {"Slides": f"{len(rows)} slides: {counts}" if rows else "no slides", "Folder": shown(path.parent)},
        verdicts=[Verdict("bad", f"not finished: {', '.join(unfinished)}")] if unfinished else [],
        sections=[("Slides", _table(path.parent, rows, facts) if rows else "")],
    )
    return write_page(path, page)


def _facts(rows: Sequence[Mapping[str, Any]], colours: Mapping[str, Sequence[int]]) -> DatasetFacts | None:
    """Classes with their colours, for legend and bars."""
    names = list(dict.fromkeys([*colours, *(name for row in rows for name in row["areas"] or {})]))
    if not names:
        return None
    default = DatasetFacts(classes=tuple(names)).palette
    return DatasetFacts(
        classes=tuple(names), palette=tuple(tuple(colours.get(n, c)) for n, c in zip(names, default, strict=True))
    )


def _table(folder: Path, rows: Sequence[Mapping[str, Any]], facts: DatasetFacts | None) -> str:
    classes = facts.classes if facts else ()
    units = ("mm²", "%")
    heads = ["slide", "picture", "state", "share of tissue", *(f"{name}, {unit}" for name in classes for unit in units)]
    lines = []
    for row in rows:
        areas = row["areas"] or {}
        shares = {name: areas.get(name, {}).get("percent", 0) / 100 for name in classes}
        main = max(shares, key=shares.get) if any(shares.values()) else ""  # bars sort by the class that fills most
        bar = share_bar([(n, s, c) for (n, s), c in zip(shares.items(), facts.palette, strict=True)]) if facts else ""
        cells: list[Any] = [_picture(folder, row["name"]), _state(row), (main, bar)]
        for name in classes:
            mm2 = areas.get(name, {}).get("mm2")
            cells.append(number(None) if mm2 is None else (mm2, number(mm2)))
            cells.append(percent(shares[name] if name in areas else None))
        lines.append([row["name"], *cells])
    return table("Slides", heads, lines, sortable=True)


def _picture(folder: Path, name: str) -> str:
    with suppress(OSError, ValueError), Image.open(folder / f"{name}_overlay.jpg") as image:
        image.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))  # decoded at a fraction of its size
        return f'<img src="{data_uri(np.asarray(image.convert("RGB")), _THUMBNAIL)}" alt="{escape(name)}">'
    return ""


def _state(row: Mapping[str, Any]) -> str:
    """State, or the error that it comes from; and where the slide lies, for whoever points at it."""
    bad = row["state"] != _FINISHED
    return (
        f'<td class="text{" bad" if bad else ""}" data-value="{escape(row["state"])}" title="{escape(str(row["slide"]))}">'
        f"{escape(str(row.get('error') or row['state']))}</td>"
    )
