"""The patch-level classifier: feature extractor, 1x1 class head, global average pooling."""

from __future__ import annotations

import torch
from torch import nn

from .extractor import FeatureExtractor
from .pda import ProgressiveDropoutAttention
from .registry import register

__all__ = ["TissueClassifier"]


@register()
class TissueClassifier(nn.Module):
    """Multi-label classifier whose class activation maps localise the tissues (Han et al. 2022, section 3.2).

    Args:
        extractor: any backbone with named layers.
        num_classes: number of tissue classes, white background not counted.
        layer: layer that the class head reads; the deepest by default.
        dropout: share of channels dropped before the class head in training.
        pda: progressive dropout attention before the class head; :class:`~.pda.PDASchedule` drives it.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        num_classes: int,
        layer: str | None = None,
        dropout: float = 0.5,
        pda: ProgressiveDropoutAttention | None = None,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.layer = layer or extractor.layers[-1]
        extractor.check_layers([self.layer])
        self.dropout = nn.Dropout2d(dropout)
        self.pda = pda or ProgressiveDropoutAttention()
        self.class_head = nn.Conv2d(extractor.channels[self.layer], num_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.class_head.weight)

    @property
    def num_classes(self) -> int:
        """Number of tissue classes."""
        return self.class_head.out_channels

    def head(self, feature: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, C)`` from the feature map ``(N, D, H, W)`` of :attr:`layer`."""
        feature = self.pda(self.dropout(feature), self.class_head.weight)
        # pooling first is the same, as the head is linear, and spares C x H x W multiplications
        return self.class_head(feature.mean(dim=(2, 3), keepdim=True)).flatten(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, C)`` for images ``(N, 3, H, W)`` float in ``[0, 1]``; ``sigmoid`` gives class probabilities."""
        return self.head(self.extractor(image)[self.layer])
