"""Values of whole windows, such as what the classifier says, over the pixels that the windows see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["WindowValues"]


class WindowValues:
    """Means of the windows' values, weighted as :class:`~.blend.Blend` weighs maps, without keeping maps of them.

    Args:
        weight: of a window's pixels, ``(height, width)``.
    """

    def __init__(self, weight: np.ndarray) -> None:
        self.weight = weight
        self._windows: list[tuple[int, int, np.ndarray]] = []  # top, left, values

    def add(self, top: int, lefts: Sequence[int], values: np.ndarray) -> None:
        """Add values ``(N, K)`` of windows with one top."""
        self._windows += [(top, left, row) for left, row in zip(lefts, values, strict=True)]

    def __bool__(self) -> bool:
        return bool(self._windows)

    def means(self, top: int, height: int, left: int, right: int) -> np.ndarray:
        """``(K, height, right - left)`` float32; 0 where there was no window. It is asked where there are some."""
        channels = len(self._windows[0][2])
        sums, weights = np.zeros((channels, height, right - left), np.float32), np.zeros((height, right - left), np.float32)
        for upper, start, values in self._windows:
            rows, own_rows = _overlap(upper, self.weight.shape[0], top, height)
            columns, own_columns = _overlap(start, self.weight.shape[1], left, right - left)
            weight = self.weight[own_rows, own_columns]
            sums[:, rows, columns] += values[:, None, None] * weight
            weights[rows, columns] += weight
        return sums / np.maximum(weights, 1e-9)

    def clear(self, above: int) -> None:
        """Let windows go that end at row ``above`` or before."""
        self._windows = [window for window in self._windows if window[0] + len(self.weight) > above]


def _overlap(start: int, length: int, first: int, count: int) -> tuple[slice, slice]:
    """Where a window's side meets a box's, in the box and in the window."""
    lower, upper = max(start, first), max(max(start, first), min(start + length, first + count))
    return slice(lower - first, upper - first), slice(lower - start, upper - start)
