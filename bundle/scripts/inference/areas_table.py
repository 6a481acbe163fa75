"""The areas of all images in one table, and what they come to together."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.facts import DatasetFacts

__all__ = ["ALL_IMAGES", "Totals", "areas_csv", "part_of", "totals"]

#: Name of the row of all images together.
ALL_IMAGES = "all images"

# parts of an image that are no class, by their names in its result, and the columns' names
_OTHERS = {"background": "white background", "not_segmented": "not segmented"}


@dataclass(frozen=True)
class Totals:
    """Several images together.

    Args:
        pixels: of each part: the names of the classes, ``background``, ``not_segmented``.
        mm2: area of each part in mm²; without those that an image of unknown µm/px has too: a sum without it is none of all.
        share: of each class in all tissue, in [0, 1]; by area where that is known, else by pixels. Empty without tissue.
        certainty: mean over all tissue, in [0, 1]; ``None`` without tissue, or where that of an image is unknown.
    """

    pixels: Mapping[str, int]
    mm2: Mapping[str, float]
    share: Mapping[str, float]
    certainty: float | None


def part_of(row: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """``pixels`` and what else is known of a part of an image: a class, ``background``, ``not_segmented``.

    Args:
        row: content of the image's ``<name>_areas.json``; what it lacks, as those of before, is empty.
        part: its name.
    """
    found = row.get(part) if part in _OTHERS else (row.get("areas") or {}).get(part)
    return found if isinstance(found, Mapping) else {}


def totals(rows: Sequence[Mapping[str, Any]], facts: DatasetFacts) -> Totals:
    """What images come to together.

    Args:
        rows: contents of their ``<name>_areas.json``.
        facts: classes.
    """
    parts = [*facts.classes, *_others(rows)]
    pixels = {part: sum(_pixels(row, part) for row in rows) for part in parts}
    sizes = [math.prod(row["mpp"]) if row.get("mpp") else None for row in rows]  # µm² of a pixel

    def known(*names: str) -> bool:
        return all(size or not any(_pixels(row, n) for n in names) for row, size in zip(rows, sizes, strict=True))

    def weighed(part: str, weights: Sequence[float]) -> float:
        return sum(_pixels(row, part) * weight for row, weight in zip(rows, weights, strict=True))

    areas = [size or 0.0 for size in sizes]
    mm2 = {part: round(weighed(part, areas) * 1e-6, 6) for part in parts if any(sizes) and known(part)}
    weights = areas if any(sizes) and known(*facts.classes) else [1.0] * len(rows)
    tissue = sum(weighed(name, weights) for name in facts.classes)
    shares = {name: weighed(name, weights) / tissue for name in facts.classes} if tissue else {}
    return Totals(pixels, mm2, shares, _certainty(rows, weights, facts, tissue))


def areas_csv(rows: Iterable[Mapping[str, Any]], facts: DatasetFacts) -> str:
    """A table with a row for each image, by name, and a last one for all of them; columns are in the classes' order.

    Columns of mm² are there where an image's µm/px is known, those of white background where it is one.

    Args:
        rows: contents of ``<name>_areas.json``; a cell is empty where a row lacks something.
        facts: classes and their long names.
    """
    rows = sorted(rows, key=lambda row: str(row.get("image", "")))
    mm2 = any("mm2" in part_of(row, part) for row in rows for part in (*facts.classes, *_OTHERS))
    shares = {"pixels": "px", "percent": "% of tissue", **({"mm2": "mm²"} if mm2 else {})}
    columns = [
        (name, key, f"{name} {long}, {unit}" if long != name else f"{name}, {unit}")
        for name, long in zip(facts.classes, facts.descriptions, strict=True)
        for key, unit in shares.items()
    ]
    columns += [
        (p, k, f"{_OTHERS[p]}, {unit}") for p in _others(rows, facts) for k, unit in shares.items() if k != "percent"
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "µm/px y", "µm/px x", "certainty", *(title for _, _, title in columns)])
    for row in rows:
        found = [row.get("image"), *(row.get("mpp") or (None, None)), row.get("certainty")]
        writer.writerow(_cells([*found, *(part_of(row, part).get(key) for part, key, _ in columns)]))
    if rows:
        summed = totals(rows, facts)
        percent = {name: round(100 * share, 3) for name, share in summed.share.items()}
        values = {"pixels": summed.pixels, "percent": percent, "mm2": summed.mm2}
        found = [ALL_IMAGES, None, None, summed.certainty]
        writer.writerow(_cells([*found, *(values[key].get(part) for part, key, _ in columns)]))
    return text.getvalue()


def _others(rows: Iterable[Mapping[str, Any]], facts: DatasetFacts | None = None) -> list[str]:
    """Parts that are no class, of those that images have; white background also where the dataset has it."""
    rows = list(rows)
    white = facts is not None and facts.white_background
    return [p for p in _OTHERS if (white and p == "background") or any(part_of(row, p) for row in rows)]


def _pixels(row: Mapping[str, Any], part: str) -> int:
    found = part_of(row, part).get("pixels")
    return found if isinstance(found, int) else 0


def _certainty(
    rows: Sequence[Mapping[str, Any]], weights: Sequence[float], facts: DatasetFacts, tissue: float
) -> float | None:
    total = 0.0
    for row, weight in zip(rows, weights, strict=True):
        own = sum(_pixels(row, name) for name in facts.classes)
        if own and not isinstance(row.get("certainty"), (int, float)):
            return None
        total += own * weight * (row["certainty"] if own else 0.0)
    return round(total / tissue, 4) if tissue else None


def _cells(values: Iterable[Any]) -> Iterator[Any]:
    return ("" if value is None else value for value in values)
