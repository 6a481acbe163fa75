"""Segmenter, classifier and gate as one graph, of operations that scripting and ONNX know."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["GatedGraph"]


class GatedGraph(nn.Module):
    """:class:`~scripts.networks.GatedSegmenter` without flips and turns, its thresholds a part of the graph.

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``.
        gate_threshold: probability up to which each class is gated, in [0, 1).
    """

    def __init__(self, segmenter: nn.Module, classifier: nn.Module, gate_threshold: Sequence[float]) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.classifier = classifier
        self.register_buffer("gate_threshold", torch.tensor(list(gate_threshold), dtype=torch.float32))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Gated probabilities ``(N, C, H, W)`` for images ``(N, 3, H, W)`` float32 in [0, 1]."""
        keep = torch.sigmoid(self.classifier(image)) > self.gate_threshold
        keep = torch.logical_or(keep, torch.logical_not(keep.any(dim=1, keepdim=True)))  # no pixel is without a class
        return torch.softmax(self.segmenter(image), dim=1) * keep[:, :, None, None].to(torch.float32)
