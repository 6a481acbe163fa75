"""Maps of overlapping windows, weighted by their middle, row by row of a slide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.data.utils import compute_importance_map
from monai.utils import BlendMode

__all__ = ["Blend"]


class Blend:
    """Weighted sums of the windows' maps for the rows that are being worked on; nothing grows with the slide's height.

    Args:
        channels: channels C of the maps.
        width: of the map in px, what windows reach over it included.
        window: (height, width) in px.
        height: rows that are worked on at once; those of a window by default.
    """

    def __init__(self, channels: int, width: int, window: Sequence[int], height: int | None = None) -> None:
        self.window, self.height = tuple(window), height or window[0]
        weight = compute_importance_map(self.window, mode=BlendMode.GAUSSIAN, sigma_scale=0.125, device="cpu")
        self.weight = weight.clamp(min=1e-3).float()  # as MONAI's sliding windows have it
        self._sums = np.zeros((channels, self.height, width), np.float32)
        self._weights = np.zeros((self.height, width), np.float32)

    def add(self, top: int, lefts: Sequence[int], maps: torch.Tensor) -> None:
        """Add maps ``(N, C, height, width)`` of windows with one top, on any device."""
        weighted, weight = (maps.float() * self.weight.to(maps.device)).cpu().numpy(), self.weight.numpy()
        for row, slot, count in self._pieces(top, self.window[0]):
            part = slice(row, row + count)
            for left, values in zip(lefts, weighted, strict=True):
                right = left + self.window[1]
                self._sums[:, slot : slot + count, left:right] += values[:, part]
                self._weights[slot : slot + count, left:right] += weight[part]

    def means(self, top: int, height: int, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
        """Means ``(C, height, right - left)`` float32, 0 where there was no window, and where there was one, of bool."""
        out, seen = np.empty((len(self._sums), height, right - left), np.float32), np.empty((height, right - left), bool)
        for row, slot, count in self._pieces(top, height):
            weights = self._weights[slot : slot + count, left:right]
            seen[row : row + count] = weights > 0
            out[:, row : row + count] = self._sums[:, slot : slot + count, left:right] / np.maximum(weights, 1e-9)
        return out, seen

    def clear(self, top: int, height: int) -> None:
        """Let rows go that are done with, for those that come below them."""
        for _, slot, count in self._pieces(top, height):
            self._sums[:, slot : slot + count] = 0
            self._weights[slot : slot + count] = 0

    def _pieces(self, top: int, height: int) -> Sequence[tuple[int, int, int]]:
        """Runs of rows that lie together in the ring: (row of those asked for, slot, how many)."""
        slot = top % self.height
        first = min(height, self.height - slot)
        return [(0, slot, first), *([(first, 0, height - first)] if first < height else [])]
