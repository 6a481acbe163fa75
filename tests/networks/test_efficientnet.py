from __future__ import annotations

import pytest
import torch
from scripts.networks.efficientnet import SameConv2d
from torch.nn import functional


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolutions_are_padded_as_the_weights_were_trained(stride, kernel, dilation):
    """``ceil(size / stride)`` outputs, what is missing added half before, half after, the odd one after."""
    convolution = SameConv2d(2, 4, kernel, stride=stride, dilation=dilation, bias=False)
    for size in (7, 8, 9, 12):
        image, count = torch.rand(1, 2, size, size + 1), []
        for side in image.shape[2:]:
            outputs = -(-side // stride)
            missing = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
            count.append((missing // 2, missing - missing // 2))
        padded = functional.pad(image, (*count[1], *count[0]))
        expected = functional.conv2d(padded, convolution.weight, stride=stride, dilation=dilation)
        assert expected.shape[2:] == (-(-size // stride), -(-(size + 1) // stride))
        torch.testing.assert_close(convolution(image), expected)
