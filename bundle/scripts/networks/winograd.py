"""3x3 convolutions with a quarter of the multiplications, for gradients of activations alone, on a CPU.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, section 4.2): 36 multiplications give 16 outputs that take
144 directly. torch's CPU convolutions do without it; cuDNN has its own. Weights are transformed once, so that this serves
networks that are not trained meanwhile: pseudo masks by a ResNet-38, which is nearly all 3x3 convolutions.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

__all__ = ["WinogradConv2d", "with_winograd"]

_TILE, _SIDE = 4, 6  # outputs and inputs per tile and axis

# the transforms for the interpolation points 0, 1, -1, 2, -2 and infinity
_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_WEIGHT = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
# both axes at once
_INPUT_2D = torch.kron(_INPUT, _INPUT).float()  # (36, 36)
_OUTPUT_2D = torch.kron(_OUTPUT, _OUTPUT).float()  # (16, 36)

# Below, the matrix products are too small to make up for the transforms (measured on 2 cores with AVX-512).
_MIN_CHANNELS = 256
# Rows per matrix product: enough for full speed, few enough for memory to stay bounded at any batch size.
_ROWS = 512


class WinogradConv2d(nn.Module):
    """What ``conv`` computes, for float32 on a CPU, up to about 1e-5 of the largest value; its weight gets no gradient.

    Args:
        conv: convolution that :meth:`serves`.
        workspace: scratch memory, shared by convolutions that do not run at the same time.

    Raises:
        ValueError: the convolution is of another kind.
    """

    def __init__(self, conv: nn.Conv2d, workspace: _Workspace | None = None) -> None:
        super().__init__()
        if not self.serves(conv):
            raise ValueError(f"expected a 3x3 float32 convolution on the CPU of stride 1 that keeps the size, found {conv}")
        weight = conv.weight.detach()
        transformed = torch.einsum("ia,ocab,jb->ijco", _WEIGHT, weight.double(), _WEIGHT)
        self.register_buffer(
            "transformed", transformed.float().reshape(36, weight.shape[1], weight.shape[0]), persistent=False
        )
        self.bias = conv.bias
        self.dilation = conv.dilation[0]
        self.workspace = workspace or _Workspace()

    @staticmethod
    def serves(conv: nn.Module) -> bool:
        """Whether a module is a convolution of this kind."""
        return (
            type(conv) is nn.Conv2d
            and conv.kernel_size == (3, 3)
            and conv.stride == (1, 1)
            and conv.dilation[0] == conv.dilation[1]
            and conv.padding == conv.dilation
            and conv.padding_mode == "zeros"
            and conv.groups == 1
            and conv.weight.device.type == "cpu"
            and conv.weight.dtype == torch.float32
            and not conv._forward_hooks
            and not conv._forward_pre_hooks
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C_in, H, W)`` float32 to ``(N, C_out, H, W)`` float32, channels last."""
        y = _Convolve.apply(x, self.transformed, self.dilation, self.workspace)
        return y if self.bias is None else y + self.bias[:, None, None]


def with_winograd(network: nn.Module, min_channels: int = _MIN_CHANNELS) -> nn.Module:
    """A copy of a network that shares its weights and runs its wide 3x3 convolutions as :class:`WinogradConv2d`.

    Args:
        network: network whose weights will not change while the copy is in use; left as it is.
        min_channels: convolutions with fewer input or output channels stay as they are.

    Returns:
        The copy; the network itself where it has no convolution to replace.
    """
    workspace = _Workspace()
    chosen = {
        name: WinogradConv2d(module, workspace)
        for name, module in network.named_modules()
        if WinogradConv2d.serves(module) and min(module.in_channels, module.out_channels) >= min_channels
    }
    if not chosen:
        return network
    tensors = [*network.parameters(), *network.buffers()]
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    for name, module in chosen.items():
        parent, _, child = name.rpartition(".")
        setattr(twin.get_submodule(parent), child, module)
    return twin


class _Workspace:
    """Scratch memory by purpose. Fresh memory of this size would cost more than the transforms that fill it."""

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Workspace:
        return _Workspace()

    def get(self, purpose: str, *shape: int) -> torch.Tensor:
        numel = torch.Size(shape).numel()
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.numel() < numel:
            buffer = self._buffers[purpose] = torch.empty(numel)
        return buffer[:numel].view(shape)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(context, x: torch.Tensor, weight: torch.Tensor, dilation: int, workspace: _Workspace) -> torch.Tensor:
        context.weight, context.dilation, context.workspace = weight, dilation, workspace
        return _in_chunks(x, weight.shape[2], dilation, lambda *chunk: _convolve(*chunk, weight, dilation, workspace))

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        weight, dilation, workspace = context.weight, context.dilation, context.workspace
        return (
            _in_chunks(gradient, weight.shape[1], dilation, lambda *chunk: _adjoint(*chunk, weight, dilation, workspace)),
            None,
            None,
            None,
        )


def _in_chunks(x: torch.Tensor, channels: int, dilation: int, function) -> torch.Tensor:
    n, _, height, width = x.shape
    target = x.new_empty(n, height, width, channels)
    source = x.permute(0, 2, 3, 1)
    down, across = _grid(height, width, dilation)
    step = max(1, _ROWS // (down * across * dilation**2))
    for start in range(0, n, step):
        function(source[start : start + step], target[start : start + step])
    return target.permute(0, 3, 1, 2)


def _grid(height: int, width: int, dilation: int) -> tuple[int, int]:
    """Tiles per axis. With dilation d, pixels that are d apart form an image of their own, d x d of them."""
    return -(-height // (_TILE * dilation)), -(-width // (_TILE * dilation))


def _tiles(image: torch.Tensor, side: int, grid: tuple[int, int], dilation: int) -> torch.Tensor:
    """View of ``(n, H, W, C)`` as ``(side, side, n, dilation, rows, dilation, columns, C)``; a stride of 4 tiles."""
    n, _, _, channels = image.shape
    sn, sh, sw, sc = image.stride()
    size = (side, side, n, dilation, grid[0], dilation, grid[1], channels)
    hop = _TILE * dilation
    return image.as_strided(size, (dilation * sh, dilation * sw, sn, sh, hop * sh, sw, hop * sw, sc))


def _convolve(source: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, dilation: int, ws: _Workspace) -> None:
    n, height, width, inputs = source.shape
    outputs = weight.shape[2]
    grid = _grid(height, width, dilation)
    rows = n * grid[0] * grid[1] * dilation**2
    high, wide = (size * _TILE * dilation for size in grid)
    margin = dilation
    padded = ws.get("image", n, high + 2 * margin, wide + 2 * margin, inputs).zero_()
    padded[:, margin : margin + height, margin : margin + width] = source
    tiles = _tiles(padded, _SIDE, grid, dilation)
    cut = ws.get("a", *tiles.shape)
    cut.copy_(tiles)
    transformed = torch.mm(_INPUT_2D, cut.view(36, -1), out=ws.get("b", 36, rows * inputs))
    product = torch.bmm(transformed.view(36, rows, inputs), weight, out=ws.get("c", 36, rows, outputs))
    result = torch.mm(_OUTPUT_2D, product.view(36, -1), out=ws.get("a", 16, rows * outputs))
    whole = (high, wide) == (height, width)
    image = target if whole else ws.get("image", n, high, wide, outputs)
    tiles = _tiles(image, _TILE, grid, dilation)
    tiles.copy_(result.view(tiles.shape))
    if not whole:
        target.copy_(image[:, :height, :width])


def _adjoint(source: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, dilation: int, ws: _Workspace) -> None:
    """The transpose of :func:`_convolve`, step by step backwards: the gradient of its input."""
    n, height, width, outputs = source.shape
    inputs = weight.shape[1]
    grid = _grid(height, width, dilation)
    rows = n * grid[0] * grid[1] * dilation**2
    high, wide = (size * _TILE * dilation for size in grid)
    margin = dilation
    image = ws.get("image", n, high, wide, outputs).zero_()
    image[:, :height, :width] = source
    tiles = _tiles(image, _TILE, grid, dilation)
    cut = ws.get("a", *tiles.shape)
    cut.copy_(tiles)
    product = torch.mm(_OUTPUT_2D.t(), cut.view(16, -1), out=ws.get("c", 36, rows * outputs))
    transformed = torch.bmm(product.view(36, rows, outputs), weight.transpose(1, 2), out=ws.get("b", 36, rows, inputs))
    parts = torch.mm(_INPUT_2D.t(), transformed.view(36, -1), out=ws.get("a", 36, rows * inputs))
    padded = ws.get("image", n, high + 2 * margin, wide + 2 * margin, inputs).zero_()
    tiles = _tiles(padded, _SIDE, grid, dilation)
    parts = parts.view(tiles.shape)
    for i in range(_SIDE):  # tiles overlap by two pixels: their parts add up
        for j in range(_SIDE):
            tiles[i, j] += parts[i, j]
    target.copy_(padded[:, margin : margin + height, margin : margin + width])
