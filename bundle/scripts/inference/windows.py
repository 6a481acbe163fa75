"""Sliding windows of several sizes: small ones see detail at the scale of the training patches, large ones context."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch.nn import functional

__all__ = ["MultiWindowInferer"]


def _spread(
    look: Callable[..., Mapping[str, torch.Tensor] | torch.Tensor], image: torch.Tensor, *args: Any, **kwargs: Any
) -> dict[str, torch.Tensor]:
    """What is found in windows, as maps of them."""
    found = look(image, *args, **kwargs)
    if isinstance(found, torch.Tensor):
        return {"maps": found}
    size = image.shape[2:]
    return {k: v if v.ndim > 2 else v[:, :, None, None].repeat(1, 1, *size) for k, v in found.items()}


class MultiWindowInferer(Inferer):
    """Mean over window sizes of :class:`monai.inferers.SlidingWindowInferer`'s maps.

    A network that has the methods ``look`` and ``join`` is asked by the first what it finds in windows, told whether they are
    of the smallest and of the largest size; what it does not give in windows of a size is averaged over those of the others.
    Values of a whole window, ``(N, K)``, count for all its pixels. The second makes its maps of the means
    (:class:`~scripts.networks.GatedSegmenter`).

    Args:
        roi_size: (height, width) in px of the patches of training.
        scales: sizes of the windows in multiples of ``roi_size``. A window is no larger than the image; scales that come to
            the same window count once.
        sw_batch_size: windows of the size of ``roi_size`` per forward pass; of larger ones fewer, in proportion to their area.
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
        windows, look = self.windows(inputs.shape[2:]), getattr(network, "look", None)
        smallest, largest = (pick(windows, key=math.prod) for pick in (min, max))
        sums: dict[str, torch.Tensor] = {}
        count: Counter[str] = Counter()
        for window in windows:
            asked = partial(look, smallest=window == smallest, largest=window == largest) if look else network
            for name, maps in self._inferer(window)(inputs, partial(_spread, asked), *args, **kwargs).items():
                sums[name] = maps if name not in sums else sums[name] + maps
                count[name] += 1
        means = {name: maps / count[name] for name, maps in sums.items()}
        return network.join(means) if look else means["maps"]

    def _inferer(self, window: Sequence[int]) -> SlidingWindowInferer:
        share = self.roi_size[0] * self.roi_size[1] / (window[0] * window[1])
        return SlidingWindowInferer(window, max(1, round(self.sw_batch_size * min(1.0, share))), **self.kwargs)
