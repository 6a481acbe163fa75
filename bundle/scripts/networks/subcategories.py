"""A classifier that also tells clusters of each class apart (SC-CAM, Chang et al., CVPR 2020)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .classifier import TissueClassifier
from .extractor import FeatureExtractor
from .registry import register

__all__ = ["SubCategoryClassifier"]


@register()
class SubCategoryClassifier(TissueClassifier):
    """A classifier with a second head for ``K`` sub-categories of each class.

    The centres of the sub-categories are part of its state; a patch belongs to the nearest one of each present class.

    Args:
        extractor: any backbone with named layers.
        num_classes: number of tissue classes, white background not counted.
        layer: layer that the class heads read; the deepest by default.
        dropout: share of channels dropped before the class heads in training.
        subcategories: ``K``; the paper's is 10.

    Raises:
        ValueError: fewer than two sub-categories.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        num_classes: int,
        layer: str | None = None,
        dropout: float = 0.5,
        subcategories: int = 10,
    ) -> None:
        super().__init__(extractor, num_classes, layer, dropout)
        if subcategories < 2:
            raise ValueError(f"subcategories: expected two or more, found {subcategories}")
        channels = self.class_head.in_channels
        self.subcategories = subcategories
        self.sub_head = nn.Conv2d(channels, self.num_classes * subcategories, 1, bias=False)
        nn.init.xavier_uniform_(self.sub_head.weight)
        # infinitely far as long as there is none
        self.register_buffer("centres", torch.full((self.num_classes, subcategories, channels), float("inf")))

    def forward(self, image: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits ``(N, C)`` for images ``(N, 3, H, W)`` float in ``[0, 1]``; in training a mapping with ``logits``,
        ``sub_logits`` ``(N, C * K)`` and the pooled ``feature`` ``(N, D)``."""
        feature = self.extractor(image)[self.layer]
        logits = self.head(feature)
        if not self.training:
            return logits
        pooled = feature.mean(dim=(2, 3), keepdim=True)
        return {
            "logits": logits,
            "sub_logits": self.sub_head(self.dropout(pooled)).flatten(1),
            "feature": pooled.detach().flatten(1),
        }

    def sub_labels(self, feature: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Labels ``(N, C, K)`` of the sub-categories: the nearest centre of each present class; none before there are
        centres.

        Args:
            feature: ``(N, D)`` pooled features.
            label: ``(N, C)`` image-level labels.
        """
        near = torch.cdist(feature.float().expand(self.num_classes, -1, -1), self.centres.nan_to_num(posinf=1e6))
        nearest = functional.one_hot(near.argmin(dim=2), self.subcategories).transpose(0, 1)  # (N, C, K)
        return nearest * label.long()[:, :, None] * self.centres.isfinite().any(dim=(1, 2)).long()[None, :, None]
