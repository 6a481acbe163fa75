"""The classifier's gate on the segmenter (Han et al. 2022, section 3.4) and the two as one network."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["GatedSegmenter", "gate"]


def gate(probability: torch.Tensor, class_probability: torch.Tensor, epsilon: float = 0.1) -> torch.Tensor:
    """Zero the probabilities of classes that the classifier gives at most ``epsilon``.

    An image whose classes would all be gated is left as it is, so that no pixel is ever without a class.

    Args:
        probability: ``(N, C, H, W)`` class probabilities of the segmenter, in [0, 1].
        class_probability: ``(N, C)`` image-level probabilities of the classifier, in [0, 1].
        epsilon: threshold; the paper's is 0.1.

    Returns:
        ``(N, C, H, W)``, not renormalised.
    """
    keep = class_probability > epsilon
    keep = keep | ~keep.any(dim=1, keepdim=True)
    return probability * keep[:, :, None, None].to(probability.dtype)


class GatedSegmenter(nn.Module):
    """Segmenter and classifier on the same window: class probabilities, gated.

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``; needed where ``gated``.
        gated: switch of the gate.
        epsilon: threshold of the gate.
        flips: average the segmenter's and the classifier's probabilities over the identity, both flips and their
            product, which costs four passes instead of one.

    Raises:
        ValueError: gated without a classifier.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        classifier: nn.Module | None = None,
        gated: bool = True,
        epsilon: float = 0.1,
        flips: bool = False,
    ) -> None:
        super().__init__()
        if gated and classifier is None:
            raise ValueError("the gate needs a classifier: pass one, or gated=False")
        self.segmenter = segmenter
        self.classifier = classifier if gated else None
        self.gated = gated
        self.epsilon = epsilon
        self.flips = flips

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Gated probabilities ``(N, C, H, W)`` for images ``(N, 3, H, W)`` float in [0, 1]."""
        axes: list[list[int]] = [[], [2], [3], [2, 3]] if self.flips else [[]]
        probability = torch.stack([torch.softmax(self.segmenter(image.flip(a)).float(), dim=1).flip(a) for a in axes]).mean(
            dim=0
        )
        if self.classifier is None:
            return probability
        class_probability = torch.stack([torch.sigmoid(self.classifier(image.flip(a)).float()) for a in axes]).mean(0)
        return gate(probability, class_probability, self.epsilon)
