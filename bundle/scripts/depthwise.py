"""Depthwise convolutions whose gradients are fast on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]


class DepthwiseConv2d(nn.Conv2d):
    """:func:`depthwise_conv2d` as a module.

    Args:
        channels: number of channels D.
        kernel: side of the kernel, odd.
        dilation: steps between the kernel's taps.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``(N, D, H, W)`` from ``(N, D, H, W)``."""
        return depthwise_conv2d(input, self.weight, self.dilation)


class _DepthwiseConv2d(torch.autograd.Function):
    """Stride 1, output as large as the input, odd kernel."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, weight: torch.Tensor, dilation: tuple[int, int]) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        ctx.dilation = dilation
        return _forward(input, weight, dilation)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        input, weight = ctx.saved_tensors
        to_input = to_weight = None
        if ctx.needs_input_grad[0]:  # the transposed convolution of stride 1 is a convolution with the kernel turned round
            to_input = _forward(gradient, weight.flip(2, 3), ctx.dilation)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(input, weight, gradient, ctx.dilation)
        return to_input, to_weight, None


def depthwise_conv2d(input: torch.Tensor, weight: torch.Tensor, dilation: tuple[int, int] = (1, 1)) -> torch.Tensor:
    """Depthwise convolution of stride 1 without bias, zero-padded to the size of the input.

    On a CPU, PyTorch takes up to a hundred times as long for the gradients as for the convolution itself where the kernel is
    dilated or larger than 3x3. There the gradient of the input is computed as a convolution, that of the weights tap by tap;
    both agree with PyTorch's within rounding. Everywhere else this is :func:`torch.nn.functional.conv2d`.

    Args:
        input: ``(N, D, H, W)``.
        weight: ``(D, 1, h, w)``, both sides odd.
        dilation: steps between the kernel's taps.

    Returns:
        ``(N, D, H, W)``. Its gradients cannot be differentiated again.
    """
    ours = (
        not torch.jit.is_scripting()
        and not torch.jit.is_tracing()
        and input.device.type == "cpu"
        and torch.is_grad_enabled()
        and (input.requires_grad or weight.requires_grad)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )
    return _DepthwiseConv2d.apply(input, weight, dilation) if ours else _forward(input, weight, dilation)


def _padding(weight: torch.Tensor, dilation: tuple[int, int]) -> tuple[int, int]:
    return dilation[0] * (weight.shape[2] // 2), dilation[1] * (weight.shape[3] // 2)


def _forward(input: torch.Tensor, weight: torch.Tensor, dilation: tuple[int, int]) -> torch.Tensor:
    return functional.conv2d(input, weight, None, 1, _padding(weight, dilation), dilation, input.shape[1])


def _weight_gradient(
    input: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor, dilation: tuple[int, int]
) -> torch.Tensor:
    padding = _padding(weight, dilation)
    if dilation == (1, 1) and max(weight.shape[2:]) <= 3:
        return torch.ops.aten.convolution_backward(
            gradient, input, weight, None, [1, 1], list(padding), list(dilation), False, [0, 0], input.shape[1],
            [False, True, False],
        )[1]  # fmt: skip
    # channels last, so that each product runs along memory
    padded = functional.pad(input.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    outer = gradient.permute(0, 2, 3, 1)
    _, height, width, channels = outer.shape
    taps = gradient.new_empty(*weight.shape[2:], channels)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * dilation[0], j * dilation[1]
            taps[i, j] = (padded[:, top : top + height, left : left + width] * outer).sum((0, 1, 2))
    return taps.permute(2, 0, 1)[:, None]
