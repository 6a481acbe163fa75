"""Maps of overlapping windows, weighted by their middle, to rows of labels."""

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
    """

    def __init__(self, channels: int, width: int, window: Sequence[int]) -> None:
        self.window = tuple(window)
        weight = compute_importance_map(self.window, mode=BlendMode.GAUSSIAN, sigma_scale=0.125, device="cpu")
        self.weight = weight.clamp(min=1e-3).float()  # as MONAI's sliding windows have it
        self._sums = np.zeros((channels, self.window[0], width), np.float32)
        self._weights = np.zeros((self.window[0], width), np.float32)

    def add(self, top: int, lefts: Sequence[int], maps: torch.Tensor) -> None:
        """Add maps ``(N, C, height, width)`` of windows with one top, on any device."""
        weighted = (maps.float() * self.weight.to(maps.device)).cpu().numpy()
        slot = top % self.window[0]
        split = self.window[0] - slot
        for left, values in zip(lefts, weighted, strict=True):
            right = left + self.window[1]
            self._sums[:, slot:, left:right] += values[:, :split]
            self._sums[:, :slot, left:right] += values[:, split:]
            self._weights[slot:, left:right] += self.weight[:split].numpy()
            self._weights[:slot, left:right] += self.weight[split:].numpy()

    def labels(self, top: int, height: int, left: int, right: int, nothing: int) -> np.ndarray:
        """Highest channel, ``(height, right - left)`` uint8, the first of equals; ``nothing`` where there was no window."""
        out = np.empty((height, right - left), np.uint8)
        for row, slot, count in self._pieces(top, height):
            sums = self._sums[:, slot : slot + count, left:right]
            best, label = sums[0].copy(), np.zeros(sums.shape[1:], np.uint8)
            for channel in range(1, len(sums)):  # a pass over each: arg-max over the first axis strides through memory
                np.copyto(label, channel, where=sums[channel] > best)
                np.maximum(best, sums[channel], out=best)
            label[self._weights[slot : slot + count, left:right] == 0] = nothing
            out[row : row + count] = label
        return out

    def probabilities(self, top: int, height: int, left: int, right: int) -> np.ndarray:
        """Means ``(C, height, right - left)`` float32; 0 where there was no window."""
        out = np.empty((len(self._sums), height, right - left), np.float32)
        for row, slot, count in self._pieces(top, height):
            weights = np.maximum(self._weights[slot : slot + count, left:right], 1e-9)
            out[:, row : row + count] = self._sums[:, slot : slot + count, left:right] / weights
        return out

    def clear(self, top: int, height: int) -> None:
        """Let rows go that are done with, for those that come a window's height below them."""
        for _, slot, count in self._pieces(top, height):
            self._sums[:, slot : slot + count] = 0
            self._weights[slot : slot + count] = 0

    def _pieces(self, top: int, height: int) -> Sequence[tuple[int, int, int]]:
        slot = top % self.window[0]
        first = min(height, self.window[0] - slot)
        return [(0, slot, first), *([(first, 0, height - first)] if first < height else [])]
