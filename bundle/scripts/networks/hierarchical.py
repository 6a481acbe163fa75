"""Single-stage hierarchical semantic rectification (SSHR, Nguyen et al. 2026, arXiv 2606.20250): class activation maps at
several depths, whose shallow features the deepest one corrects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from .classifier import TissueClassifier
from .depthwise import DepthwiseConv2d
from .extractor import FeatureExtractor
from .pda import ProgressiveDropoutAttention
from .registry import register

__all__ = ["HierarchicalClassifier", "Rectification"]


class Rectification(nn.Module):
    """Adds to a feature map its channels gated by the pooled deepest feature, and its smoothed self.

    Both additions are scaled by a learnt number that starts at zero, so that training starts from the extractor as it is.

    Args:
        channels: channels of the feature map.
        deepest: channels of the deepest feature map.
        reduction: factor by which the hidden layer of the gate is narrower than its output.
        kernel: side of the depthwise smoothing in pixels of the feature map; odd.

    Raises:
        ValueError: an even kernel.
    """

    def __init__(self, channels: int, deepest: int, reduction: int = 8, kernel: int = 15) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd side, found {kernel}")
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gate = nn.Sequential(nn.Linear(deepest, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())
        self.smooth = DepthwiseConv2d(channels, kernel)
        nn.init.constant_(self.smooth.weight, 1 / kernel**2)
        self.gate_scale = nn.Parameter(torch.zeros(()))
        self.smooth_scale = nn.Parameter(torch.zeros(()))

    def forward(self, feature: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """Rectified ``(N, D, H, W)`` from a feature of that shape and the pooled deepest feature ``(N, deepest)``."""
        gated = feature * self.gate(pooled)[:, :, None, None]
        return feature + self.gate_scale * gated + self.smooth_scale * self.smooth(feature)


@register()
class HierarchicalClassifier(TissueClassifier):
    """A class head per depth, each trained with the image-level labels.

    Args:
        extractor: any backbone with named layers.
        num_classes: number of tissue classes, white background not counted.
        layers: depths, shallow to deep; the last one is not rectified.
        weights: weight of each depth in the fused map and in the logits; they are divided by their sum.
        reduction: see :class:`Rectification`.
        kernel: see :class:`Rectification`.
        dropout: share of channels dropped before the class heads in training.
        pda: progressive dropout attention before the deepest class head, see :class:`~.classifier.TissueClassifier`.

    Raises:
        ValueError: fewer than two layers, an unknown one, or weights that do not fit.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        num_classes: int,
        layers: Sequence[str],
        weights: Sequence[float],
        reduction: int = 8,
        kernel: int = 15,
        dropout: float = 0.5,
        pda: ProgressiveDropoutAttention | None = None,
    ) -> None:
        if len(layers) < 2 or len(weights) != len(layers) or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(
                f"expected two layers or more and a non-negative weight for each, found {list(layers)}, {list(weights)}"
            )
        extractor.check_layers(layers)
        super().__init__(extractor, num_classes, layers[-1], dropout, pda)
        self.depths = list(layers)
        self.weights = [float(w / sum(weights)) for w in weights]
        channels = [extractor.channels[name] for name in layers]
        self.rectifications = nn.ModuleList(Rectification(c, channels[-1], reduction, kernel) for c in channels[:-1])
        self.heads = nn.ModuleList(nn.Conv2d(c, num_classes, 1, bias=False) for c in channels[:-1])
        for head in self.heads:
            nn.init.xavier_uniform_(head.weight)

    def rectify(self, maps: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Rectified feature maps ``(N, D, h, w)`` of every depth, shallow to deep, from those of the extractor."""
        deepest = maps[self.layer]
        pooled = deepest.mean(dim=(2, 3))
        rectified: list[torch.Tensor] = []
        for index, rectification in enumerate(self.rectifications):
            rectified.append(rectification(maps[self.depths[index]], pooled))
        rectified.append(deepest)
        return rectified

    def cams(self, maps: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Class activation maps ``{layer: (N, C, h, w)}``, the class heads applied to every pixel of the rectified feature
        maps, from those of the extractor."""
        heads = [*self.heads, self.class_head]
        return {name: head(f) for name, head, f in zip(self.depths, heads, self.rectify(maps), strict=True)}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of every depth ``(N, S, C)`` in training, their weighted mean ``(N, C)`` in evaluation, for images
        ``(N, 3, H, W)`` float in ``[0, 1]``."""
        rectified = self.rectify(self.extractor(image))
        each: list[torch.Tensor] = []
        for index, head in enumerate(self.heads):
            each.append(head(self.dropout(rectified[index]).mean(dim=(2, 3), keepdim=True)).flatten(1))
        each.append(self.head(rectified[-1]))
        logits = torch.stack(each, dim=1)
        if self.training:
            return logits
        weights = torch.tensor(self.weights, dtype=logits.dtype, device=logits.device)
        return torch.einsum("nsc,s->nc", logits, weights)
