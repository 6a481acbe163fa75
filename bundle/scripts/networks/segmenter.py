"""DeepLabV3+ on any feature extractor (Chen et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .depthwise import DepthwiseConv2d
from .extractor import FeatureExtractor
from .registry import register

__all__ = ["DeepLabV3Plus"]


@register()
class DeepLabV3Plus(nn.Module):
    """Atrous spatial pyramid pooling on a deep layer, refined by a shallow one.

    Args:
        extractor: any backbone with named layers.
        num_classes: number of tissue classes, white background not counted.
        high_layer: layer of the pyramid; the deepest by default.
        low_layer: layer of the decoder; the deepest one of stride 4 by default.
        channels: channels of pyramid and decoder.
        low_channels: channels to which the shallow layer is reduced.
        rates: dilations of the pyramid's 3x3 convolutions, in pixels of ``high_layer``.
        separable: depthwise-separable 3x3 convolutions, as DeepLabV3+ has them on mobile backbones.
        dropout: shares of values dropped in training after the pyramid and after the decoder's two 3x3 convolutions; the
            published program's are 0.5, 0.5, 0.1.
        align_corners: whether bilinear upsampling aligns the corner pixels, as the published program does.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        num_classes: int,
        high_layer: str | None = None,
        low_layer: str | None = None,
        channels: int = 256,
        low_channels: int = 48,
        rates: Sequence[int] = (6, 12, 18),
        separable: bool = True,
        dropout: Sequence[float] = (0.0, 0.0, 0.1),
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if len(dropout) != 3:
            raise ValueError(f"dropout: expected three shares (pyramid, decoder, decoder), found {dropout}")
        self.extractor = extractor
        self.align_corners = align_corners
        self.high_layer = high_layer or extractor.layers[-1]
        self.low_layer = low_layer or _deepest_of_stride(extractor, 4)
        extractor.check_layers([self.high_layer, self.low_layer])
        self.pyramid = Pyramid(extractor.channels[self.high_layer], channels, rates, separable)
        self.dropout = nn.Dropout(dropout[0])
        self.reduce = _conv(extractor.channels[self.low_layer], low_channels, 1)
        self.decoder = nn.Sequential(
            _conv(channels + low_channels, channels, 3, separable=separable),
            nn.Dropout(dropout[1]),
            _conv(channels, channels, 3, separable=separable),
            nn.Dropout(dropout[2]),
            nn.Conv2d(channels, num_classes, 1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, C, H, W)`` for images ``(N, 3, H, W)`` float in ``[0, 1]``."""
        features = self.extractor(image)
        low = self.reduce(features[self.low_layer])
        high = self._resize(self.dropout(self.pyramid(features[self.high_layer])), low)
        return self._resize(self.decoder(torch.cat([high, low], dim=1)), image)

    def _resize(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=self.align_corners)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, dilated 3x3 and image-level branches, fused by a 1x1 convolution."""

    def __init__(self, inputs: int, channels: int, rates: Sequence[int], separable: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_conv(inputs, channels, 1)] + [_conv(inputs, channels, 3, rate, separable) for rate in rates]
        )
        self.pooled = _conv(inputs, channels, 1)
        self.project = _conv(channels * (len(rates) + 2), channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [branch(x) for branch in self.branches]
        # adaptive pooling and interpolation where a mean and an expansion would do: batch statistics of one value per image
        # amplify rounding, and the published program's steps are met with the same operations alone
        pooled = self.pooled(functional.adaptive_avg_pool2d(x, 1))
        outputs.append(functional.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=True))
        return self.project(torch.cat(outputs, dim=1))


def _conv(inputs: int, outputs: int, kernel: int, dilation: int = 1, separable: bool = False) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    convolutions: list[nn.Module] = []
    if separable and kernel > 1:
        convolutions.append(DepthwiseConv2d(inputs, kernel, dilation))
        kernel, padding, dilation = 1, 0, 1
    convolutions.append(nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False))
    return nn.Sequential(*convolutions, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _deepest_of_stride(extractor: FeatureExtractor, stride: int) -> str:
    layers = [name for name in extractor.layers if extractor.strides[name] == stride]
    if not layers:
        raise ValueError(f"low_layer: {type(extractor).__name__} has no layer of stride {stride}; name one")
    return layers[-1]
