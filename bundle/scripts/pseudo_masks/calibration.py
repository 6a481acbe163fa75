"""What is measured on patches of several classes before masks are made: at which pixels, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

__all__ = ["FEATURES", "Measured", "thinned"]

# step between the pixels that shares are measured on, and so many along a patch's shorter side at most
_THIN, _SIDE = 4, 64
#: So many of these along its longer side at most, where features are measured.
FEATURES = 16


@dataclass
class Measured:
    """What is measured on a patch of several classes.

    Args:
        present: image-level label ``(C,)``.
        scores: standardised maps ``(C, P)`` at some pixels of tissue, by layer.
        features: close up, at fewer of them, and
        seen: which of them these are.
    """

    present: torch.Tensor
    scores: dict[str, torch.Tensor] = field(default_factory=dict)
    features: torch.Tensor | None = None
    seen: torch.Tensor | None = None


def thinned(size: Sequence[int]) -> int:
    """Step between the pixels of a patch of a size (height, width) in px that are measured."""
    side = min(size)
    return max(_THIN, side // _SIDE) if side >= 8 * _THIN else 1
