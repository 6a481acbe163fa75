"""Sliding windows of several sizes: small ones see detail at the scale of the training patches, large ones context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch.nn import functional

__all__ = ["MultiWindowInferer"]


class MultiWindowInferer(Inferer):
    """Mean over window sizes of :class:`monai.inferers.SlidingWindowInferer`'s maps.

    A network that has a method ``segment`` is called by it in all windows but those of the first scale; its maps are then
    the first channels of the network's own, and only they are averaged.

    Args:
        roi_size: (height, width) in px of the patches of training.
        scales: sizes of the windows in multiples of ``roi_size``. A window is no larger than the image; scales that come to
            the same window count once.
        sw_batch_size: windows of the first scale per forward pass; of larger ones fewer, in proportion to their area.
        kwargs: further settings of the sliding windows.

    Raises:
        ValueError: no scale, or one that is not positive.
    """

    def __init__(
        self, roi_size: Sequence[int], scales: Sequence[float] = (1.0,), sw_batch_size: int = 16, **kwargs: Any
    ) -> None:
        super().__init__()
        if not scales or min(scales) <= 0:
            raise ValueError(f"scales: expected positive numbers, found {list(scales)}")
        self.roi_size = tuple(roi_size)
        self.scales = tuple(scales)
        self.sw_batch_size = sw_batch_size
        self.kwargs = kwargs

    def windows(self, size: Sequence[int]) -> list[tuple[int, ...]]:
        """Window sizes for an image of a size (height, width) in px."""
        found: list[tuple[int, ...]] = []
        for scale in self.scales:
            window = tuple(
                max(1, min(round(scale * side), max(side, limit))) for side, limit in zip(self.roi_size, size, strict=True)
            )
            if window not in found:
                found.append(window)
        return found

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., torch.Tensor],
        *args: Any,
        size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Maps ``(N, K, H, W)`` of images ``(N, 3, H, W)``.

        Args:
            inputs: images, in [0, 1].
            network: gives the maps of a window.
            args: further arguments of the network.
            size: (height, width) in px at which the network sees the images, if not their own; the maps have their own.
            kwargs: further arguments of the network.
        """
        if size is not None:
            seen = functional.interpolate(inputs, size, mode="bicubic", antialias=True).clamp_(0, 1)
            maps = self(seen, network, *args, **kwargs)
            return functional.interpolate(maps, inputs.shape[2:], mode="bilinear", antialias=True)
        first, *others = self.windows(inputs.shape[2:])
        total = self._inferer(first)(inputs, network, *args, **kwargs)
        part = getattr(network, "segment", network)
        for window in others:
            maps = self._inferer(window)(inputs, part, *args, **kwargs)
            total[:, : maps.shape[1]] += maps
        if others:
            total[:, : maps.shape[1]] /= 1 + len(others)
        return total

    def _inferer(self, window: Sequence[int]) -> SlidingWindowInferer:
        share = self.roi_size[0] * self.roi_size[1] / (window[0] * window[1])
        return SlidingWindowInferer(window, max(1, round(self.sw_batch_size * min(1.0, share))), **self.kwargs)
