"""How the pixels of a grid lie in a level of a slide, and how a large box is taken apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

__all__ = ["GridAxis", "halves", "parts"]

_AT_ONCE = 2**22  # px of a level


class GridAxis:
    """Where the pixels of a grid lie in a level, along one axis.

    Args:
        origin: where the grid begins, in px of the level.
        step: px of the level that one of the grid's is.
        low: first px of the level that belongs to the slide's bounds.
        high: the one after the last.
    """

    def __init__(self, origin: float, step: float, low: int, high: int) -> None:
        self.origin, self.step, self.low, self.high = origin, step, low, high
        # with a step such as 0.8 many values lie halfway between two grey levels, and the last digit of where a read begins
        # would decide, once along each axis: a thousandth of a pixel decides for all reads alike
        self._nudge = 0.0 if (8 * step).is_integer() and (8 * origin).is_integer() else 0.00137

    def nearest(self, span: range) -> np.ndarray:
        """Px of the level in which the middle of each px of the grid lies."""
        middle = self.origin + (np.arange(span.start, span.stop) + 0.5) * self.step
        return np.clip(np.floor(middle).astype(np.int64), self.low, self.high - 1)

    def around(self, span: range) -> tuple[int, int]:
        """First px of the level, and the one after the last, that the filter of a span looks at."""
        reach = max(1.0, self.step) + 1
        return (
            math.floor(self.origin + span.start * self.step - reach),
            math.ceil(self.origin + span.stop * self.step + reach),
        )

    def of(self, span: range, first: int) -> tuple[float, float]:
        """A span's two ends, counted from a px of the level."""
        begin = self.origin + self._nudge - first
        return begin + span.start * self.step, begin + span.stop * self.step


def halves(span: range) -> list[range]:
    middle = (span.start + span.stop) // 2
    return [half for half in (range(span.start, middle), range(middle, span.stop)) if half]


def parts(rows: range, columns: range, step_y: float, step_x: float) -> Iterator[tuple[range, range]]:
    """Parts of a box that look at no more than 4 million px of the level each, as high as they may be and then as wide."""
    side = math.isqrt(_AT_ONCE)
    high = max(1, min(len(rows), int(side / step_y)))
    wide = max(1, int(_AT_ONCE / (high * step_y) / step_x))
    for top in range(rows.start, rows.stop, high):
        for left in range(columns.start, columns.stop, wide):
            yield range(top, min(top + high, rows.stop)), range(left, min(left + wide, columns.stop))
