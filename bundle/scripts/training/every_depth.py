"""Any multi-label loss for classifiers with a class head at every depth."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["EveryDepthLoss"]


class EveryDepthLoss(nn.Module):
    """Applies a loss to the logits of every depth, each against the image-level labels (SSHR, Nguyen et al. 2026).

    Args:
        loss: takes logits and labels ``(N, C)``; a loss that is a mean over patches becomes one over patches and depths.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Any, target: torch.Tensor) -> torch.Tensor:
        """Scalar from logits ``(N, S, C)`` and image-level labels ``(N, C)``; any other output of a classifier (logits
        ``(N, C)``, a mapping) goes to the loss as it is."""
        if isinstance(logits, torch.Tensor) and logits.ndim == 3:
            target = target.to(logits.dtype)[:, None].expand_as(logits).flatten(0, 1)
            logits = logits.flatten(0, 1)
        return self.loss(logits, target)
