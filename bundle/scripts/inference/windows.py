"""Sliding windows of several sizes: small ones see detail at the scale of the training patches, large ones context."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch.nn import functional

__all__ = ["MultiWindowInferer", "WindowLook"]

_STRETCH = 1.4  # times its side that a window of context grows to, where an image then needs one alone


@dataclass(frozen=True)
class WindowLook:
    """How windows of one size are looked at.

    Args:
        window: (height, width) in px.
        batch_size: windows per forward pass.
        ask: what is found in windows ``(N, 3, height, width)`` in [0, 1]: maps ``(N, K, height, width)`` and values
            ``(N, K)`` by their names, or maps alone.
        weight: of what is found in the mean over sizes of windows.
    """

    window: tuple[int, int]
    batch_size: int
    ask: Callable[..., Mapping[str, torch.Tensor] | torch.Tensor]
    weight: int = 1

    def __call__(self, windows: torch.Tensor, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """What is found, by its name; of a network that gives maps alone, ``maps``."""
        found = self.ask(windows, *args, **kwargs)
        return {"maps": found} if isinstance(found, torch.Tensor) else dict(found)

    def spread(self, windows: torch.Tensor, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        """The same, with values as maps of the whole window."""
        size = windows.shape[2:]
        found = self(windows, *args, **kwargs)
        return {k: v if v.ndim > 2 else v[:, :, None, None].repeat(1, 1, *size) for k, v in found.items()}


class MultiWindowInferer(Inferer):
    """Mean over window sizes of :class:`monai.inferers.SlidingWindowInferer`'s maps.

    A network that has the methods ``look``, ``passes`` and ``join``, as :class:`~scripts.networks.GatedSegmenter` has, is
    asked by the first what it finds in windows, and told whether they are of the smallest and of the largest size; what it
    gives in some sizes alone is averaged over these. Values of a whole window, ``(N, K)``, count for all its pixels. The
    second says how often it looks at them, which is their weight. The third makes its maps of the means.

    Args:
        roi_size: (height, width) in px of the patches of training.
        scales: sizes of the windows in multiples of ``roi_size``. A window is no larger than the image, and one of a scale
            above 1 as long as a side of the image that is up to 1.4 times its own: two would see most of it twice. Scales
            that come to the same window count once.
        sw_batch_size: windows of ``roi_size`` per forward pass; of larger ones fewer, in proportion to their area.
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

    def windows(self, size: Sequence[float]) -> list[tuple[int, int]]:
        """Window sizes for an image of a size (height, width) in px."""
        found: list[tuple[int, int]] = []
        for scale in self.scales:
            height, width = (
                self._side(scale, round(scale * side), max(side, limit))
                for side, limit in zip(self.roi_size, size, strict=True)
            )
            if (height, width) not in found:
                found.append((height, width))
        return found

    @staticmethod
    def _side(scale: float, side: int, limit: float) -> int:
        """Side of a window in an image whose side is ``limit``."""
        return max(1, int(limit) if limit <= side * (_STRETCH if scale > 1 else 1) else side)

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
        sums: dict[str, torch.Tensor] = {}
        count: Counter[str] = Counter()
        for look in self.looks(network, inputs.shape[2:]):
            inferer = SlidingWindowInferer(look.window, look.batch_size, **self.kwargs)
            for name, maps in inferer(inputs, look.spread, *args, **kwargs).items():
                sums[name] = look.weight * maps if name not in sums else sums[name] + look.weight * maps
                count[name] += look.weight
        means = {name: maps / count[name] for name, maps in sums.items()}
        return network.join(means) if hasattr(network, "join") else means["maps"]

    def looks(self, network: Callable[..., Any], size: Sequence[float] = (math.inf, math.inf)) -> list[WindowLook]:
        """How windows of each size are looked at, in an image of a size (height, width) in px."""
        windows, share = self.windows(size), self.roi_size[0] * self.roi_size[1]
        smallest, largest = (pick(windows, key=math.prod) for pick in (min, max))
        found = []
        for window in windows:
            kind = {"smallest": window == smallest, "largest": window == largest}
            ask = partial(network.look, **kind) if hasattr(network, "look") else network
            weight = network.passes(largest=kind["largest"]) if hasattr(network, "passes") else 1
            batch_size = max(1, round(self.sw_batch_size * min(1.0, share / math.prod(window))))
            found.append(WindowLook(window, batch_size, ask, weight))
        return found
