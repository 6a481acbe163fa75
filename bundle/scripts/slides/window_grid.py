"""Which windows of a slide the network looks at: rows of them at equal steps, in each row only where there is tissue."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["WindowGrid"]


@dataclass(frozen=True)
class WindowGrid:
    """Rows of windows over a map, and where in a row windows stand.

    A window answers for its core, what is left without half of the overlap on each side; the cores of a row's windows hold
    all its tissue. Windows stand at the start of each stretch of tissue and go on in equal steps, so that little glass is
    looked at; none reaches over the map's end unless it is larger than the map.

    Args:
        size: (H, W) of the map in px.
        window: (height, width) in px.
        overlap: of neighbouring windows, as a share of their side, in [0, 1).

    Raises:
        ValueError: an overlap that is none.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap: expected a share of the window in [0, 1), found {self.overlap}")

    @property
    def step(self) -> tuple[int, int]:
        """(y, x) from one window to the next, in px."""
        return tuple(max(1, round(side * (1 - self.overlap))) for side in self.window)  # type: ignore[return-value]

    @property
    def margin(self) -> tuple[int, int]:
        """(y, x) of a window's side that another window answers for, in px."""
        return tuple((side - step) // 2 for side, step in zip(self.window, self.step, strict=True))  # type: ignore[return-value]

    @property
    def rows(self) -> int:
        """Number of rows of windows."""
        return 1 + max(0, math.ceil((self.size[0] - self.window[0]) / self.step[0]))

    def top(self, row: int) -> int:
        """First row of the map that a row of windows looks at."""
        return max(0, min(row * self.step[0], self.size[0] - self.window[0]))

    def core(self, row: int) -> tuple[int, int]:
        """Rows of the map that a row of windows answers for: first and last but one."""
        first = 0 if row == 0 else row * self.step[0] + self.margin[0]
        return first, self.size[0] if row == self.rows - 1 else (row + 1) * self.step[0] + self.margin[0]

    def lefts(self, row: int, tissue: Callable[[int, int], np.ndarray], least: float = 0.0) -> list[int]:
        """Left columns of the windows of a row.

        Args:
            row: number of the row.
            tissue: gives rows of the tissue mask, ``(height, W)`` bool, by top and height.
            least: share of its core that tissue must exceed for a window to be looked at.
        """
        first, last = self.core(row)
        counts = tissue(first, last - first).sum(axis=0, dtype=np.int64)
        columns, sums = np.flatnonzero(counts), np.concatenate([[0], np.cumsum(counts)])
        (_, width), step, margin = self.window, self.step[1], self.margin[1]
        end = max(0, self.size[1] - width)
        found: list[int] = []
        free, covered = 0, 0  # where the next window may stand, and up to where tissue is in the core of one
        while (number := int(np.searchsorted(columns, covered))) < len(columns):
            left = min(end, max(free, int(columns[number]) - margin))
            until = self.size[1] if left == end else left + margin + step
            if sums[until] - sums[covered] > least * step * (last - first):
                found.append(left)
            free, covered = left + step, until
        return found
