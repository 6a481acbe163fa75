from __future__ import annotations

import pytest
import torch
from scripts.networks.depthwise import depthwise_conv2d
from torch.nn import functional

# channels, (height, width), kernel, stride, padding, dilation
CASES = [
    (3, (9, 7), (3, 3), (1, 1), None, (1, 1)),
    (4, (7, 8), (3, 3), (1, 1), None, (2, 2)),
    (2, (6, 5), (5, 5), (1, 1), None, (1, 1)),
    (5, (8, 11), (5, 5), (1, 1), None, (2, 2)),
    (2, (4, 4), (3, 5), (1, 1), None, (4, 1)),
    (2, (3, 2), (15, 15), (1, 1), None, (1, 1)),  # a kernel larger than the map
    (1, (1, 1), (5, 5), (1, 1), None, (2, 2)),
    (3, (9, 9), (3, 3), (2, 2), (0, 0), (1, 1)),
    (3, (8, 10), (3, 3), (2, 2), (1, 1), (1, 1)),  # the last row and column are not seen
    (2, (11, 12), (5, 5), (2, 2), (0, 0), (1, 1)),
    (2, (11, 13), (5, 3), (2, 3), (2, 1), (2, 1)),
    (2, (6, 6), (1, 1), (1, 1), (1, 2), (1, 1)),  # padding beyond the kernel's reach
]


def _inputs(channels, size, kernel, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(3, channels, *size, generator=generator, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, *kernel, generator=generator, dtype=dtype)
    return image.requires_grad_(), weight.requires_grad_()


def _reference(image, weight, stride=(1, 1), padding=None, dilation=(1, 1)):
    padding = padding or [d * (k // 2) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return functional.conv2d(image, weight, None, stride, padding, dilation, image.shape[1])


@pytest.mark.parametrize(("channels", "size", "kernel", "stride", "padding", "dilation"), CASES)
def test_values_and_gradients_are_those_of_torch(channels, size, kernel, stride, padding, dilation):
    image, weight = _inputs(channels, size, kernel)
    ours, theirs = (f(image, weight, stride, padding, dilation) for f in (depthwise_conv2d, _reference))
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
    (only,) = torch.autograd.grad(depthwise_conv2d(image, weight.detach(), dilation=(2, 2)).square().sum(), image)
    (other,) = torch.autograd.grad(_reference(image, weight, dilation=(2, 2)).square().sum(), image)
    torch.testing.assert_close(only, other)
    (only,) = torch.autograd.grad(depthwise_conv2d(image.detach(), weight, dilation=(2, 2)).square().sum(), weight)
    (other,) = torch.autograd.grad(_reference(image, weight, dilation=(2, 2)).square().sum(), weight)
    torch.testing.assert_close(only, other)


def test_finite_differences():
    image, weight = _inputs(2, (5, 4), (5, 3))
    assert torch.autograd.gradcheck(lambda x, w: depthwise_conv2d(x, w, dilation=(2, 1)), (image, weight))


def test_bfloat16_under_autocast():
    image, weight = _inputs(8, (12, 12), (5, 5), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = depthwise_conv2d(image, weight, dilation=(2, 2))
    assert output.dtype == torch.bfloat16
    ours = torch.autograd.grad(output.float().square().sum(), (image, weight))
    theirs = torch.autograd.grad(_reference(image, weight, dilation=(2, 2)).square().sum(), (image, weight))
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == torch.float32
        assert float((a - b).norm() / b.norm()) < 0.02


def test_tracing_takes_the_plain_convolution():
    image, weight = _inputs(2, (6, 6), (3, 3), torch.float32)
    fixed = weight.detach()
    traced = torch.jit.trace(lambda x: depthwise_conv2d(x, fixed), image.detach())
    assert torch.equal(traced(image.detach()), _reference(image, weight).detach())


def test_a_wide_kernel_in_bfloat16_and_channels_last_ends():
    """What oneDNN loops over without end; without the other memory format this test would, too."""
    image, weight = torch.rand(1, 16, 32, 32), torch.rand(16, 1, 15, 15) / 225
    expected = functional.conv2d(image, weight, None, 1, 7, 1, 16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = depthwise_conv2d(image.contiguous(memory_format=torch.channels_last), weight, (1, 1), (7, 7), (1, 1))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)
