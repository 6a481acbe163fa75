"""ResNet-38 (Wu et al. 2019, model A), the classifier's backbone in Han et al. 2022, with the names of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .extractor import FeatureExtractor
from .registry import register

__all__ = ["ResNet38"]

# width of each stage and number of its blocks; b2 to b4 halve the size, b5 dilates
_STAGES = (("b2", 128, 128, 3, 2), ("b3", 256, 256, 3, 2), ("b4", 512, 512, 6, 2), ("b5", 512, 1024, 3, 1))


@register()
class ResNet38(FeatureExtractor):
    """Wide pre-activation network of output stride 8.

    Layers (channels, stride): ``conv1a`` (64, 1), ``b2`` ``b2_1`` ``b2_2`` (128, 2), ``b3`` to ``b3_2`` (256, 4), ``b4`` to
    ``b4_5`` (512, 8), ``b5`` to ``b5_2`` (1024, 8), ``b6`` (2048, 8), ``b7`` (4096, 8), ``bn7`` (4096, 8; after its ReLU).
    The image is used in [0, 1] as it is.

    Args:
        width: factor of every number of channels; 1 is the published network.
        dropout: shares of channels dropped in ``b6`` and ``b7`` in training.
        frozen: layers that are not trained, by the start of their names. The published program freezes these two.
        frozen_norm: keep every batch normalisation as loaded: its statistics and its affine parameters.
    """

    def __init__(
        self,
        width: float = 1.0,
        dropout: Sequence[float] = (0.3, 0.5),
        frozen: Sequence[str] = ("conv1a", "b2"),
        frozen_norm: bool = True,
    ) -> None:
        super().__init__()
        channels = round(64 * width)
        self.conv1a = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.channels["conv1a"], self.strides["conv1a"] = channels, 1
        stride = 1
        for name, middle, outputs, repeats, step in _STAGES:
            middle, outputs = round(middle * width), round(outputs * width)
            dilation = 2 if name == "b5" else 1
            stride *= step
            for repeat in range(repeats):
                block = (
                    _Block(channels, middle, outputs, step, 1, dilation)
                    if repeat == 0
                    else _Block(channels, middle, outputs, 1, dilation, dilation)
                )
                layer = name if repeat == 0 else f"{name}_{repeat}"
                self.add_module(layer, block)
                self.channels[layer], self.strides[layer] = outputs, stride
                channels = outputs
        for layer, outputs, share in zip(("b6", "b7"), (2048, 4096), dropout, strict=True):
            outputs = round(outputs * width)
            self.add_module(layer, _Bottleneck(channels, outputs, dilation=4, dropout=share))
            self.channels[layer], self.strides[layer] = outputs, stride
            channels = outputs
        self.bn7 = nn.BatchNorm2d(channels)
        self.channels["bn7"], self.strides["bn7"] = channels, stride
        unknown = [name for name in frozen if not any(layer.startswith(name) for layer in self.channels)]
        if unknown:
            raise ValueError(f"frozen: no layer starts with {unknown}; layers are {list(self.channels)}")
        self.frozen_norm = frozen_norm
        for name, parameter in self.named_parameters():
            layer = name.split(".")[0]
            norm = name.rsplit(".", 2)[-2].startswith("bn")
            if any(layer.startswith(prefix) for prefix in frozen) or (frozen_norm and norm):
                parameter.requires_grad_(False)

    @property
    def cam_layers(self) -> tuple[str, ...]:
        """The depths of Han et al. 2022."""
        return ("b4_5", "b5_2", "bn7")

    def train(self, mode: bool = True) -> ResNet38:
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return ``{layer: feature map}`` for an image ``(N, 3, H, W)`` float in ``[0, 1]``."""
        features: dict[str, torch.Tensor] = {}
        x = image
        for layer, module in self.named_children():
            x = module(x)
            x = self.emit(features, layer, functional.relu(x) if layer == "bn7" else x)
        return features


class _Block(nn.Module):
    """Two 3x3 convolutions, each after normalisation and ReLU."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, first_dilation: int, dilation: int) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = _conv3(inputs, middle, stride, first_dilation)
        self.bn_branch2b1 = nn.BatchNorm2d(middle)
        self.conv_branch2b1 = _conv3(middle, outputs, 1, dilation)
        if inputs != outputs or stride != 1:
            self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn_branch2a(x))
        shortcut = self.conv_branch1(y) if hasattr(self, "conv_branch1") else x
        y = self.conv_branch2a(y)
        return shortcut + self.conv_branch2b1(functional.relu(self.bn_branch2b1(y)))


class _Bottleneck(nn.Module):
    """1x1, dilated 3x3 and 1x1 convolutions, each after normalisation and ReLU, with dropout before the last two."""

    def __init__(self, inputs: int, outputs: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = nn.Conv2d(inputs, outputs // 4, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(outputs // 4)
        self.dropout_2b1 = nn.Dropout2d(dropout)
        self.conv_branch2b1 = _conv3(outputs // 4, outputs // 2, 1, dilation)
        self.bn_branch2b2 = nn.BatchNorm2d(outputs // 2)
        self.dropout_2b2 = nn.Dropout2d(dropout)
        self.conv_branch2b2 = nn.Conv2d(outputs // 2, outputs, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn_branch2a(x))
        shortcut = self.conv_branch1(y)
        y = functional.relu(self.bn_branch2b1(self.conv_branch2a(y)))
        y = functional.relu(self.bn_branch2b2(self.conv_branch2b1(self.dropout_2b1(y))))
        return shortcut + self.conv_branch2b2(self.dropout_2b2(y))


def _conv3(inputs: int, outputs: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
