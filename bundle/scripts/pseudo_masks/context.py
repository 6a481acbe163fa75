"""What surrounds a patch, put together from the patches around it in their region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.images import image_size, read_image
from .consensus import cache_size, overlapping

__all__ = ["windows"]


def windows(entries: Sequence[Mapping[str, Any]], context: float) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """A reader of patches with the tissue around them.

    What no other patch of its size shows is the patch's own mirror image.

    Args:
        entries: datalist entries with ``image`` and ``name``, and with ``group`` and ``position`` where known; those of a
            group in px of the same region.
        context: share of a patch's side that is added on every side, in (0, 1].

    Returns:
        Function of one of the entries: ``(H + 2 h, W + 2 w, 3)`` uint8 for a patch of ``(H, W)``, ``h`` and ``w`` being the
        context in px, rounded.
    """
    sizes: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for entry in entries:
        sizes.setdefault(image_size(entry["image"]), []).append(entry)
    around = {
        entry["name"]: others
        for size, alike in sizes.items()
        for entry, others in overlapping(alike, size, [round(context * side) for side in size])
    }
    largest = max((3 * height * width for height, width in sizes), default=1)
    read = lru_cache(maxsize=cache_size(largest, 256))(read_image)

    def window(entry: Mapping[str, Any]) -> np.ndarray:
        patch = read(entry["image"])
        height, width = patch.shape[:2]
        top, left = round(context * height), round(context * width)
        found = np.pad(patch, ((top, top), (left, left), (0, 0)), mode="symmetric")
        for other, (dy, dx) in reversed(around[entry["name"]]):  # the patch itself last
            y, x = top + dy, left + dx
            here = np.s_[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
            shown = read(other["image"])[max(0, -y) :, max(0, -x) :]
            target = found[here]
            target[:] = shown[: target.shape[0], : target.shape[1]]
        return found

    return window
