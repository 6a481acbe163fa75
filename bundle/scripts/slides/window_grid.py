"""Which windows of a slide the network looks at: a grid of them, without those that see no tissue of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["WindowGrid"]


@dataclass(frozen=True)
class WindowGrid:
    """Windows at equal steps over a map; the last of a row and of a column may reach over its end.

    Each window is nearest to the pixels of its own cell, a step high and wide in its middle; cells at the map's rim reach to
    it. Together the cells fill the map.

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
    def count(self) -> tuple[int, int]:
        """Windows in a column and in a row of them."""
        return tuple(
            1 + max(0, math.ceil((side - window) / step))
            for side, window, step in zip(self.size, self.window, self.step, strict=True)
        )  # type: ignore[return-value]

    def cell(self, axis: int, number: int) -> tuple[int, int]:
        """First and last but one pixel, along an axis, of the cell of a window, by its number."""
        step, margin = self.step[axis], (self.window[axis] - self.step[axis]) // 2
        first = 0 if number == 0 else number * step + margin
        last = number == self.count[axis] - 1
        return first, self.size[axis] if last else (number + 1) * step + margin

    def needed(self, row: int, tissue: Callable[[int, int], np.ndarray], least: float = 0.0) -> Sequence[int]:
        """Numbers of the windows of a row whose cells hold tissue.

        Args:
            row: number of the row of windows.
            tissue: gives rows of the tissue mask, ``(height, W)`` bool, by top and height.
            least: share of a cell that tissue must exceed.
        """
        top, bottom = self.cell(0, row)
        if bottom <= top:
            return []
        columns = tissue(top, bottom - top).sum(axis=0, dtype=np.int64)
        sums = np.concatenate([[0], np.cumsum(columns)])
        cells = np.array([self.cell(1, number) for number in range(self.count[1])])
        cells = np.clip(cells, 0, self.size[1])
        inside = sums[cells[:, 1]] - sums[cells[:, 0]]
        area = (cells[:, 1] - cells[:, 0]) * (bottom - top)
        return np.flatnonzero(inside > least * area).tolist()
