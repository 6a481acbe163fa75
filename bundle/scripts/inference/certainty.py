"""How sure networks are of the class of a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core.ranges import TEMPERATURE

__all__ = ["certainty", "fitted_temperature", "grey", "mean_certainty"]

_BAND = 512  # rows at a time: tempering all of a large image would take its probabilities' memory once more


def certainty(probability: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """How far the likeliest class is above the second, once probabilities are tempered: ``p ** (1 / T)``, renormalised.

    Networks are surer than they are right, or less sure; a temperature that was fitted on held-out pixels makes up for it
    (Guo et al. 2017). Above 1 it brings classes together, below 1 apart; which class wins stays the same.

    Args:
        probability: ``(C, H, W)`` in [0, 1], as averaged over windows and flips. Classes that were gated are zero, so that
            the sum need not be one: what is left is taken for all there is.
        temperature: T, above 0.

    Returns:
        ``(H, W)`` float32 in [0, 1], on the same device. 1: no other class has any probability; 0: two classes are as
        likely as each other, or none has any.

    Raises:
        ValueError: another number of axes, or a temperature that is not above 0.
    """
    if probability.ndim != 3:
        raise ValueError(f"probability: expected (C, H, W), found {tuple(probability.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature: found {temperature}, expected a number above 0")
    bands = [_band(rows, 1 / temperature) for rows in probability.split(_BAND, dim=1)]
    return torch.cat(bands) if bands else probability.new_zeros(probability.shape[1:], dtype=torch.float32)


def _band(probability: torch.Tensor, power: float) -> torch.Tensor:
    values = probability.float().clamp(min=0)
    highest, winner = values.max(dim=0, keepdim=True)
    # as shares of the highest: powers of small probabilities would all come to zero
    shares = (values / highest.clamp(min=torch.finfo(torch.float32).tiny)).clamp(max=1).pow_(power)
    total = shares.sum(dim=0)
    second = shares.scatter_(0, winner, 0.0).amax(dim=0)
    return torch.where(highest[0] > 0, (1 - second) / total.clamp(min=1), 0.0)


def mean_certainty(values: np.ndarray, label_map: np.ndarray, num_classes: int) -> float | None:
    """Mean over the tissue of an image.

    Args:
        values: ``(H, W)`` of :func:`certainty`.
        label_map: ``(H, W)`` class indices; what is none of the classes (white background) does not count.
        num_classes: number of classes.

    Returns:
        In [0, 1], to four digits; ``None`` where there is no tissue.
    """
    tissue = label_map < num_classes
    return round(float(values.mean(where=tissue, dtype=np.float64)), 4) if tissue.any() else None


def grey(values: np.ndarray) -> np.ndarray:
    """Certainty, or a probability, as uint8: 255 is 1."""
    return np.rint(np.clip(values, 0, 1) * np.float32(255)).astype(np.uint8)


def fitted_temperature(scores: Mapping[str, Any], source: str = "scores") -> float:
    """The temperature that was fitted at the validation of weights; 1 where none was, as before version 0.8.

    Args:
        scores: of the segmenter's description.
        source: file named in errors.

    Raises:
        ValueError: it is no number from 0.25 to 8.
    """
    found = scores.get("temperature")
    return 1.0 if found is None else float(TEMPERATURE.check(found, f"{source}: temperature"))
