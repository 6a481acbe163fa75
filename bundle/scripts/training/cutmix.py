"""CutMix for segmentation (Yun et al. 2019): a rectangle of another patch, image and masks alike, is pasted into a patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["CutMixBatch", "cut_mix"]


def cut_mix(
    image: torch.Tensor, masks: torch.Tensor, prob: float, sides: Sequence[float] = (0.25, 0.75)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste rectangles between the patches of a batch. Random numbers are those of torch's global generator.

    What is pasted brings its own pseudo mask along, so a patch with a single tissue, whose mask is certain, puts a certain
    region with a certain border into its neighbour.

    Args:
        image: ``(N, 3, H, W)``.
        masks: ``(N, L, H, W)``.
        prob: share of the patches that receive a rectangle, in [0, 1]; one in N of them its own, which changes nothing.
        sides: smallest and largest side of the rectangle as a share of the patch's, in (0, 1].

    Returns:
        Image and masks, new tensors where anything was pasted.
    """
    n, _, height, width = image.shape
    donors = torch.randperm(n)
    chosen = torch.rand(n) < prob
    low, high = sides
    sizes = low + (high - low) * torch.rand(n, 2)
    corners = torch.rand(n, 2)
    if not chosen.any():
        return image, masks
    mixed, mixed_masks = image.clone(), masks.clone()
    for k in torch.nonzero(chosen).flatten().tolist():
        h, w = max(1, round(float(sizes[k, 0]) * height)), max(1, round(float(sizes[k, 1]) * width))
        top, left = round(float(corners[k, 0]) * (height - h)), round(float(corners[k, 1]) * (width - w))
        window = (slice(None), slice(top, top + h), slice(left, left + w))
        donor = int(donors[k])
        mixed[k][window] = image[donor][window]
        mixed_masks[k][window] = masks[donor][window]
    return mixed, mixed_masks


class CutMixBatch:
    """``prepare_batch`` of a trainer: another one's batch after :func:`cut_mix`.

    Args:
        prepare: gives image ``(N, 3, H, W)`` and masks ``(N, L, H, W)`` of a batch.
        prob: share of the patches that receive a rectangle; 0 changes nothing.
        sides: smallest and largest side of the rectangle as a share of the patch's.

    Raises:
        ValueError: values out of range.
    """

    def __init__(
        self,
        prepare: Callable[..., tuple[torch.Tensor, torch.Tensor]],
        prob: float = 0.5,
        sides: Sequence[float] = (0.25, 0.75),
    ) -> None:
        if not 0 <= prob <= 1 or len(sides) != 2 or not 0 < sides[0] <= sides[1] <= 1:
            raise ValueError(f"expected prob in [0, 1] and 0 < sides[0] <= sides[1] <= 1, found {prob}, {list(sides)}")
        self.prepare = prepare
        self.prob = prob
        self.sides = tuple(sides)

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        image, masks = self.prepare(*args, **kwargs)
        return cut_mix(image, masks, self.prob, self.sides) if self.prob else (image, masks)
