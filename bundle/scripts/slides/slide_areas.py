"""Areas of the classes of a slide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from .label_rows import NOT_SEGMENTED, LabelRows

__all__ = ["slide_areas"]

_BAND = 256  # rows counted at a time


def slide_areas(rows: LabelRows, facts: DatasetFacts, mpp: tuple[float, float]) -> dict[str, Any]:
    """Area of each class, of the tissue that they are, of the background, and of what could not be segmented.

    Args:
        rows: the label map.
        facts: class names.
        mpp: pixel size (y, x) in µm/px.

    Returns:
        ``{"areas": {class: {"pixels": n, "percent": share of the tissue, "mm2": area}}, "tissue": {"pixels", "mm2"},
        "background": ..., "not_segmented": ...}``; tissue is the sum of the classes, and the four parts that of the map.

    Raises:
        ValueError: a value that is no class, background or :data:`NOT_SEGMENTED`.
    """
    height = rows.size[0]
    counts = np.zeros(256, np.int64)
    for top in range(0, height, _BAND):
        counts += np.bincount(rows.read(top, min(_BAND, height - top)).ravel(), minlength=256)
    strange = np.flatnonzero(counts[facts.white_value + 1 : NOT_SEGMENTED]) + facts.white_value + 1
    if len(strange):
        raise ValueError(f"found the label {strange[0]}, expected 0 to {facts.white_value}, or {NOT_SEGMENTED}")

    def part(count: int) -> dict[str, Any]:
        return {"pixels": int(count), "mm2": round(int(count) * math.prod(mpp) * 1e-6, 6)}

    tissue = int(counts[: facts.num_classes].sum())
    areas = {}
    for name, count in zip(facts.classes, counts, strict=False):
        areas[name] = {**part(count), "percent": round(100 * int(count) / max(1, tissue), 3)}
    return {
        "areas": areas,
        "tissue": part(tissue),
        "background": part(counts[facts.white_value]),
        "not_segmented": part(counts[NOT_SEGMENTED]),
    }
