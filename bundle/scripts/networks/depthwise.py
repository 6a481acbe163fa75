"""Depthwise convolutions whose gradients are fast on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["DepthwiseConv2d", "depthwise_conv2d"]

_Pair = tuple[int, int]


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
        return depthwise_conv2d(input, self.weight, self.stride, self.padding, self.dilation)


class _DepthwiseConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: torch.Tensor, weight: torch.Tensor, stride: _Pair, padding: _Pair, dilation: _Pair
    ) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        ctx.geometry = stride, padding, dilation
        return functional.conv2d(input, weight, None, stride, padding, dilation, input.shape[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        to_input = _input_gradient(input, weight, gradient, *ctx.geometry) if ctx.needs_input_grad[0] else None
        to_weight = _weight_gradient(input, weight, gradient, *ctx.geometry) if ctx.needs_input_grad[1] else None
        return to_input, to_weight, None, None, None


def depthwise_conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    stride: _Pair = (1, 1),
    padding: _Pair | None = None,
    dilation: _Pair = (1, 1),
) -> torch.Tensor:
    """Depthwise convolution without bias.

    On a CPU, PyTorch takes up to a hundred times as long for the gradients as for the convolution itself, if the kernel is
    dilated, larger than 3x3 or in bfloat16. There the gradient of the input is computed as a convolution, that of the
    weights tap by tap; both agree with PyTorch's within rounding. Elsewhere this is :func:`torch.nn.functional.conv2d`.

    Args:
        input: ``(N, D, H, W)``.
        weight: ``(D, 1, h, w)``.
        stride: step of the kernel.
        padding: zeros to each side; by default those that keep the size at stride 1 with a kernel of odd sides.
        dilation: steps between the kernel's taps.

    Returns:
        ``(N, D, H', W')``. Its gradients cannot be differentiated again.
    """
    if padding is None:
        padding = (dilation[0] * (weight.shape[2] // 2), dilation[1] * (weight.shape[3] // 2))
    if torch.jit.is_scripting():
        return functional.conv2d(input, weight, None, stride, padding, dilation, input.shape[1])
    return _ours_or_theirs(input, weight, stride, padding, dilation)


@torch.jit.unused
def _ours_or_theirs(
    input: torch.Tensor, weight: torch.Tensor, stride: _Pair, padding: _Pair, dilation: _Pair
) -> torch.Tensor:
    ours = (
        not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and input.device.type == "cpu"
        and torch.is_grad_enabled()
        and (input.requires_grad or weight.requires_grad)
        and all(p <= d * (k - 1) for p, d, k in zip(padding, dilation, weight.shape[2:], strict=True))
    )
    if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        input, weight = input.to(dtype), weight.to(dtype)
    if not torch.jit.is_tracing():
        input = _without_endless_loop(input, weight)
    if not ours:
        return functional.conv2d(input, weight, None, stride, padding, dilation, input.shape[1])
    return _DepthwiseConv2d.apply(input, weight, stride, padding, dilation)


def _without_endless_loop(input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The input in a memory format that a CPU can convolve.

    oneDNN, up to that of PyTorch 2.14 at least, never ends with bfloat16 in channels-last of up to 16 channels and a kernel
    wider than 13 px, where the map is wider than 28 px.
    """
    endless = input.device.type == "cpu" and input.dtype == torch.bfloat16 and input.shape[1] <= 16 and weight.shape[3] > 13
    return input.contiguous() if endless else input


def _input_gradient(
    input: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor, stride: _Pair, padding: _Pair, dilation: _Pair
) -> torch.Tensor:
    """The transposed convolution: a convolution of stride 1 with the kernel turned round, over a gradient whose values lie
    ``stride`` apart with zeros between."""
    channels, sides = input.shape[1], input.shape[2:]
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    border = [r - p for r, p in zip(reach, padding, strict=True)]
    if stride == (1, 1):
        return functional.conv2d(gradient, weight.flip(2, 3), None, 1, border, dilation, channels)
    spread = gradient.new_zeros(len(input), *(n + r for n, r in zip(sides, reach, strict=True)), channels).permute(
        0, 3, 1, 2
    )  # channels last, as convolutions prefer
    cells = [slice(b, b + s * (n - 1) + 1, s) for b, s, n in zip(border, stride, gradient.shape[2:], strict=True)]
    spread[:, :, cells[0], cells[1]] = gradient
    return functional.conv2d(spread, weight.flip(2, 3), None, 1, 0, dilation, channels)


def _weight_gradient(
    input: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor, stride: _Pair, padding: _Pair, dilation: _Pair
) -> torch.Tensor:
    kernel, sides = weight.shape[2:], input.shape[2:]
    if dilation == (1, 1) and max(kernel) <= 3 and gradient.dtype in (torch.float32, torch.bfloat16):
        # PyTorch is fast here, in float32
        return torch.ops.aten.convolution_backward(
            gradient.float(), input.float(), weight.float(), None, stride, padding, dilation, False, [0, 0], input.shape[1],
            [False, True, False],
        )[1].to(weight.dtype)  # fmt: skip
    # channels last, so that each product runs along memory
    inner, outer = input.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    taps = torch.zeros(*kernel, outer.shape[3], dtype=torch.float32 if outer.dtype == torch.bfloat16 else outer.dtype)
    rows = [_meeting(i * dilation[0] - padding[0], stride[0], sides[0], outer.shape[1]) for i in range(kernel[0])]
    columns = [_meeting(j * dilation[1] - padding[1], stride[1], sides[1], outer.shape[2]) for j in range(kernel[1])]
    for i, (row, outer_row) in enumerate(rows):
        for j, (column, outer_column) in enumerate(columns):
            product = inner[:, row, column] * outer[:, outer_row, outer_column]
            taps[i, j] = product.sum((0, 1, 2), dtype=taps.dtype)
    return taps.permute(2, 0, 1)[:, None].to(weight.dtype)


def _meeting(shift: int, stride: int, inputs: int, outputs: int) -> tuple[slice, slice]:
    """Which inputs a tap sees, and for which outputs: output ``o`` sees input ``o * stride + shift`` if there is one."""
    first = max(0, -(shift // stride))
    last = min(outputs, (inputs - 1 - shift) // stride + 1)
    count = max(0, last - first)
    start = first * stride + shift
    return slice(start, start + stride * (count - 1) + 1, stride) if count else slice(0, 0), slice(first, first + count)
