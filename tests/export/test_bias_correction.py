from __future__ import annotations

import pytest
import torch
from made_exports import NEEDS_ONNX
from scripts.export.int8 import write_int8
from scripts.export.onnx_files import OnnxNetwork
from torch import nn

SMALL = 0.0035  # less than half a step of 8 bits beside a weight of 1, 1 / 254: rounded to nothing
MEANS = (0.8, 1.6, 0.0, 4.0)  # of the channels that come in; steps of 4 / 255, so that they are rounded to themselves


def _network(kernel: int, groups: int, bias: bool) -> nn.Module:
    """A convolution whose every kernel has one large weight and many small ones, behind channels of known means."""
    given = nn.Conv2d(3, 4, 1)
    main = nn.Conv2d(4, 8, kernel, groups=groups, bias=bias)
    with torch.no_grad():
        given.weight.zero_()
        given.bias.copy_(torch.tensor(MEANS))
        main.weight.fill_(SMALL)
        main.weight.view(8, -1)[:, 0] = 1.0
        if bias:
            main.bias.copy_(torch.linspace(-0.5, 0.5, 8))
    return nn.Sequential(given, nn.ReLU(), main).eval()


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("kernel", "groups", "lost"),
    [  # of each output, by hand: the sum of its inputs' means times their small weights
        (1, 1, [SMALL * 5.6] * 8),
        (3, 1, [SMALL * (9 * 6.4 - 0.8)] * 8),
        (3, 2, [SMALL * (9 * 2.4 - 0.8)] * 4 + [SMALL * 9 * 4.0] * 4),
        (3, 4, [SMALL * 8 * mean for mean in MEANS for _ in range(2)]),
    ],
)
def test_outputs_keep_their_means_though_weights_are_rounded_to_nothing(tmp_path, kernel, groups, lost):
    patches = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    network = _network(kernel, groups, bias=True)
    write_int8(network, tmp_path / "a.onnx", torch.rand(2, 3, 16, 16), "logits", patches)
    with torch.inference_mode():
        expected = network(patches).mean((0, 2, 3))
    step = float(expected.max() - expected.min()) / 255  # outputs are rounded, too
    assert max(lost) > 3 * step
    torch.testing.assert_close(OnnxNetwork(tmp_path / "a.onnx")(patches).mean((0, 2, 3)), expected, rtol=0, atol=step)


@NEEDS_ONNX
def test_the_means_of_images_themselves_are_known(tmp_path):
    """A graph of one convolution, which has no tensor within; half of each image is black."""
    main = _network(3, 1, bias=True)[2]
    network = nn.Sequential(nn.Conv2d(3, 8, 3)).eval()
    with torch.no_grad():
        network[0].weight.copy_(main.weight[:, :3])
        network[0].bias.copy_(main.bias)
    patches = torch.zeros(2, 3, 16, 16)
    patches[..., 8:] = 1.0
    write_int8(network, tmp_path / "a.onnx", torch.rand(2, 3, 16, 16), "logits", patches)
    with torch.inference_mode():
        expected = network(patches).mean((0, 2, 3))
    found = OnnxNetwork(tmp_path / "a.onnx")(patches).mean((0, 2, 3))
    assert 26 * SMALL / 2 > 0.045  # what is lost without the correction
    torch.testing.assert_close(found, expected, rtol=0, atol=0.01)
