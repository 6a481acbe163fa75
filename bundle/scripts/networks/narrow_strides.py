"""Convolutions whose gradients PyTorch gets wrong on some CPUs, and how training goes around them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

__all__ = ["guarded_strides"]

_SAFE = 8  # input channels


@contextmanager
def guarded_strides(network: nn.Module) -> Iterator[None]:
    """Train a network within this.

    The gradients of a convolution of one pixel with a stride, of fewer than 8 channels, in channels-last, write beyond their
    memory on CPUs with AVX2 alone (oneDNN, as PyTorch 2.13 has it), and the process is killed. Here the pixels that such a
    convolution would look at are cut out before it, which is the same. Networks of usual width have none.

    Args:
        network: what is trained.
    """
    strides = {module: module.stride for module in network.modules() if _is_faulty(module)}
    handles = [module.register_forward_pre_hook(partial(_cut, stride)) for module, stride in strides.items()]
    try:
        for module in strides:
            module.stride = (1, 1)
        yield
    finally:
        for module, stride in strides.items():
            module.stride = stride
        for handle in handles:
            handle.remove()


def _is_faulty(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.padding == (0, 0)
        and max(module.stride) > 1
        and module.in_channels < _SAFE
    )


def _cut(stride: tuple[int, int], _: nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor]:
    return (inputs[0][:, :, :: stride[0], :: stride[1]],)
