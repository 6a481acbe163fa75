"""Convolutions whose gradients some CPUs get wrong."""

from __future__ import annotations

import torch
from scripts.networks.narrow_strides import guarded_strides
from torch import nn


def _trained(network, image):
    """Output and gradients."""
    image = image.detach().requires_grad_()
    network.zero_grad()
    output = network(image)
    output.square().sum().backward()
    return [output, image.grad, *(p.grad.clone() for p in network.parameters())]


def test_gradients_of_narrow_convolutions_with_a_stride_are_those_of_full_precision():
    """Without the guard the process is killed within a few of the rounds, on some CPUs."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1, (2, 1), bias=False), nn.Conv2d(4, 8, 1, 2), nn.Conv2d(8, 2, 3, 2, 1))
    image = torch.rand(6, 3, 63, 64)
    with guarded_strides(network.to(memory_format=torch.channels_last)):
        for _ in range(20):
            found = _trained(network, image.contiguous(memory_format=torch.channels_last))
        assert [conv.stride for conv in network] == [(1, 1), (1, 1), (2, 2)]
    assert [conv.stride for conv in network] == [(2, 1), (2, 2), (2, 2)]
    assert not any(conv._forward_pre_hooks for conv in network)
    exact = _trained(network.to(torch.float64, memory_format=torch.contiguous_format), image.double())
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)
