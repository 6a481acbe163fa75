"""ResNet with bottleneck blocks (He et al. 2016) at a chosen output stride, with the names of torchvision's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .extractor import FeatureExtractor
from .registry import register

__all__ = ["ResNet"]

_WIDTHS = (64, 128, 256, 512)


@register()
class ResNet(FeatureExtractor):
    """ResNet-50, -101 or any other depth.

    Layers (channels, stride at output stride 32): ``stem`` (64, 2), ``layer1`` (256, 4), ``layer2`` (512, 8), ``layer3``
    (1024, 16), ``layer4`` (2048, 32).

    Args:
        blocks: bottleneck blocks of the four stages: ``[3, 4, 6, 3]`` is ResNet-50, ``[3, 4, 23, 3]`` ResNet-101.
        output_stride: 8, 16 or 32; below 32, strides of the late stages become dilations.
        multi_grid: factor of the dilation of each block of ``layer4`` (DeepLabV3: ``[1, 2, 4]``); none by default.
        width: factor of every number of channels.
        mean: mean of the normalisation for an image in [0, 1], one value or three. The published program has none; weights
            trained on ImageNet elsewhere expect ``[0.485, 0.456, 0.406]``,
        std: and a standard deviation of ``[0.229, 0.224, 0.225]``.

    Raises:
        ValueError: unknown output stride, or numbers of blocks or grid factors that do not fit.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 23, 3),
        output_stride: int = 16,
        multi_grid: Sequence[int] | None = None,
        width: float = 1.0,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride: expected 8, 16 or 32, found {output_stride}")
        if len(blocks) != 4 or min(blocks) < 1:
            raise ValueError(f"blocks: expected four positive numbers, found {list(blocks)}")
        grid = list(multi_grid or [1] * blocks[3])
        if len(grid) != blocks[3]:
            raise ValueError(f"multi_grid: expected {blocks[3]} factors, one per block of layer4, found {grid}")
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)
        channels = round(64 * width)
        self.conv1 = nn.Conv2d(3, channels, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.channels["stem"], self.strides["stem"] = channels, 2
        stride, dilation = 4, 1
        for index, (middle, repeats) in enumerate(zip(_WIDTHS, blocks, strict=True)):
            step = 1 if index == 0 else 2
            if stride * step > output_stride:
                dilation, step = dilation * step, 1
            stride *= step
            middle = round(middle * width)
            stage = []
            for repeat in range(repeats):
                rate = dilation * (grid[repeat] if index == 3 else 1)
                stage.append(_Bottleneck(channels, middle, step if repeat == 0 else 1, rate))
                channels = 4 * middle
            layer = f"layer{index + 1}"
            self.add_module(layer, nn.Sequential(*stage))
            self.channels[layer], self.strides[layer] = channels, stride
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return ``{layer: feature map}`` for an image ``(N, 3, H, W)`` float in ``[0, 1]``."""
        features: dict[str, torch.Tensor] = {}
        x = functional.relu(self.bn1(self.conv1((image - self.mean) / self.std)))
        x = functional.max_pool2d(self.emit(features, "stem", x), 3, 2, 1)
        x = self.emit(features, "layer1", self.layer1(x))
        x = self.emit(features, "layer2", self.layer2(x))
        x = self.emit(features, "layer3", self.layer3(x))
        self.emit(features, "layer4", self.layer4(x))
        return features


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each with normalisation; ReLU after the sum."""

    def __init__(self, inputs: int, middle: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, 4 * middle, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * middle)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != 4 * middle:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * middle, 1, stride, bias=False), nn.BatchNorm2d(4 * middle))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample(x)
        return functional.relu(y + x)
