"""Whether positions that file names spell are px of the patches: where patches overlap by them, they show the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..core.images import image_size, read_image

__all__ = ["contradicted"]

# pairs that are looked at, and mean difference in grey values above which they do not show the same: JPEG differs by 2 to 4,
# tissue from other tissue by 30 and more
_PAIRS = 9
_DIFFERENCE = 16


def contradicted(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most pairs of patches that overlap by their positions show other pixels where they do.

    Positions may be counted in px of another magnification, which the names do not say.

    Args:
        entries: with ``image``, and ``group``, ``region`` and ``position`` where known.
    """
    found = [_differ(a, b) for a, b in islice(_overlapping(entries), _PAIRS)]
    known = [value for value in found if value is not None]
    return sum(known) * 2 > len(known)


def _overlapping(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Pairs of entries that overlap, each entry in one pair."""
    placed = [entry for entry in entries if entry.get("position") is not None]
    try:
        height, width = image_size(placed[0]["image"]) if placed else (1, 1)
    except (OSError, ValueError):  # named where every image is read
        return
    cells: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for entry in placed:
        y, x = entry["position"]
        region = entry.get("group"), entry.get("region")
        around = [(*region, y // height + i, x // width + j) for i in (0, -1, 1) for j in (0, -1, 1)]
        for cell in around:
            other = cells.get(cell)
            if other is not None and abs(other["position"][0] - y) < height and abs(other["position"][1] - x) < width:
                del cells[cell]
                yield other, entry
                break
        else:
            cells[around[0]] = entry


def _differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool | None:
    try:
        first, second = (read_image(entry["image"]).astype(np.int16) for entry in (a, b))
    except (OSError, ValueError):
        return None
    (dy, dx) = (q - p for p, q in zip(a["position"], b["position"], strict=True))
    shown = first[max(0, dy) :, max(0, dx) :], second[max(0, -dy) :, max(0, -dx) :]
    height, width = (min(part.shape[axis] for part in shown) for axis in (0, 1))
    if not height or not width:
        return None
    return bool(np.abs(shown[0][:height, :width] - shown[1][:height, :width]).mean() > _DIFFERENCE)
