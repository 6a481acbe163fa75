from __future__ import annotations

import pytest
import torch
from scripts.depthwise import depthwise_conv2d
from torch.nn import functional

# channels, (height, width), kernel, dilation
CASES = [
    (3, (9, 7), (3, 3), (1, 1)),
    (4, (7, 8), (3, 3), (2, 2)),
    (2, (6, 5), (5, 5), (1, 1)),
    (5, (8, 11), (5, 5), (2, 2)),
    (2, (4, 4), (3, 5), (4, 1)),
    (2, (3, 2), (15, 15), (1, 1)),  # a kernel larger than the map
    (1, (1, 1), (5, 5), (2, 2)),
]


def _inputs(channels, size, kernel, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, channels, *size, generator=generator, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, *kernel, generator=generator, dtype=dtype)
    return image.requires_grad_(), weight.requires_grad_()


def _reference(image, weight, dilation):
    padding = [d * (k // 2) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return functional.conv2d(image, weight, None, 1, padding, dilation, image.shape[1])


@pytest.mark.parametrize("channels,size,kernel,dilation", CASES)
def test_values_and_gradients_are_those_of_torch(channels, size, kernel, dilation):
    image, weight = _inputs(channels, size, kernel)
    ours, theirs = depthwise_conv2d(image, weight, dilation), _reference(image, weight, dilation)
    assert torch.equal(ours, theirs)
    gradient = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1), dtype=theirs.dtype)
    for a, b in zip(
        torch.autograd.grad(ours, (image, weight), gradient),
        torch.autograd.grad(theirs, (image, weight), gradient),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_gradients_of_a_frozen_kernel_and_of_a_fixed_image():
    image, weight = _inputs(4, (7, 8), (5, 5))
    (only,) = torch.autograd.grad(depthwise_conv2d(image, weight.detach(), (2, 2)).square().sum(), image)
    (other,) = torch.autograd.grad(_reference(image, weight, (2, 2)).square().sum(), image)
    torch.testing.assert_close(only, other)
    (only,) = torch.autograd.grad(depthwise_conv2d(image.detach(), weight, (2, 2)).square().sum(), weight)
    (other,) = torch.autograd.grad(_reference(image, weight, (2, 2)).square().sum(), weight)
    torch.testing.assert_close(only, other)


def test_finite_differences():
    image, weight = _inputs(2, (5, 4), (5, 3))
    assert torch.autograd.gradcheck(lambda x, w: depthwise_conv2d(x, w, (2, 1)), (image, weight))


def test_autocast_and_tracing_take_the_plain_convolution():
    image, weight = _inputs(2, (6, 6), (3, 3), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = depthwise_conv2d(image, weight)
    assert output.dtype == torch.bfloat16 and "Depthwise" not in type(output.grad_fn).__name__
    fixed = weight.detach()
    traced = torch.jit.trace(lambda x: depthwise_conv2d(x, fixed), image.detach())
    assert torch.equal(traced(image.detach()), _reference(image, weight, (1, 1)).detach())
