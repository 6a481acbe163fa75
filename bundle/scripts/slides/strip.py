"""The rows of a slide that are being worked on: each pixel is read once, and let go when the last window has seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

__all__ = ["Strip"]

_BLOCK = 256  # columns that are read, or not, together


class Strip:
    """A window as wide as the slide that moves down it and reads what it needs of what is new.

    Rows stand in a ring, so that nothing is copied when it moves.

    Args:
        read: gives a box (top, left, height, width) as ``(height, width, 3)`` uint8; it may reach over the slide's end.
        width: of the map in px; boxes may reach over it as far as a window does.
        height: rows that are held.
        overhang: columns that windows reach over the map's end.
    """

    def __init__(self, read: Callable[[int, int, int, int], np.ndarray], width: int, height: int, overhang: int = 0) -> None:
        self._read = read
        self.height = height
        self._blocks = -(-(width + overhang) // _BLOCK)
        self._rows = np.full((height, self._blocks * _BLOCK, 3), 255, np.uint8)
        self._until = np.zeros(self._blocks, np.int64)  # row up to which each block of columns is there

    def load(self, top: int, bottom: int, spans: Iterable[Sequence[int]]) -> None:
        """Have rows from ``top`` (not above the slide) to ``bottom`` of the columns in ``spans``, (first, last but one).

        Rows above ``bottom - height`` are let go.
        """
        blocks = np.zeros(self._blocks, bool)
        for first, last in spans:
            blocks[max(0, first) // _BLOCK : -(-last // _BLOCK)] = True
        start = np.where(self._until > top, self._until, top)
        number = 0
        while number < self._blocks:
            if not blocks[number] or start[number] >= bottom:
                number += 1
                continue
            end = number + 1
            while end < self._blocks and blocks[end] and start[end] == start[number]:
                end += 1
            self._put(int(start[number]), bottom, number * _BLOCK, end * _BLOCK)
            self._until[number:end] = bottom
            number = end

    def get(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A box of what is loaded, ``(height, width, 3)`` uint8, a copy; white where it was not, as above the slide."""
        out = np.full((height, width, 3), 255, np.uint8)
        first = max(0, left)
        last = max(first, min(left + width, self._rows.shape[1]))  # a box beside the slide has nothing of it
        for row, slot, count in self._pieces(max(0, top), top + height):
            out[row - top : row - top + count, first - left : last - left] = self._rows[slot : slot + count, first:last]
        return out

    def _put(self, top: int, bottom: int, left: int, right: int) -> None:
        pixels = self._read(top, left, bottom - top, right - left)
        for row, slot, count in self._pieces(top, bottom):
            self._rows[slot : slot + count, left:right] = pixels[row - top : row - top + count]

    def _pieces(self, top: int, bottom: int) -> Iterable[tuple[int, int, int]]:
        """Runs of rows that lie together in the ring: (row, slot, how many)."""
        while top < bottom:
            slot = top % self.height
            count = min(bottom - top, self.height - slot)
            yield top, slot, count
            top += count
