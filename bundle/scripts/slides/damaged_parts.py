"""Parts of a slide that cannot be read: painted "not segmented" in its labels, and told of in one line."""

from __future__ import annotations

import numpy as np

from .label_rows import NOT_SEGMENTED
from .slide_pixels import Box

__all__ = ["DamagedParts"]


class DamagedParts:
    """What could not be read of a slide so far.

    Attributes:
        boxes: parts that rows to come may hold, in px of the label map; who reads the slide puts them there.
        pixels: tissue pixels that were painted.
        first: (y, x) of the topmost of them, in px of the label map.
    """

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.pixels = 0
        self.first: tuple[int, int] | None = None

    def paint(self, top: int, labels: np.ndarray, tissue: np.ndarray) -> None:
        """Paint them in rows of labels, and forget those that end there.

        Args:
            top: first row in the map.
            labels: ``(height, W)`` uint8, changed in place.
            tissue: ``(height, W)`` bool; what is no tissue stays background.
        """
        if not self.boxes:
            return
        bottom, lost = top + len(labels), np.zeros(labels.shape, bool)
        for y, x, height, width in self.boxes:
            lost[max(0, y - top) : max(0, y + height - top), x : x + width] = True
        lost &= tissue
        if lost.any() and self.first is None:
            row = int(lost.any(axis=1).argmax())
            self.first = top + row, int(lost[row].argmax())
        self.pixels += int(lost.sum())
        labels[lost] = NOT_SEGMENTED
        self.boxes[:] = [box for box in self.boxes if box[0] + box[2] > bottom]
