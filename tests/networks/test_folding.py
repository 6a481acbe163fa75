"""Folded networks give the same, and have no batch normalisation left where one can go."""

from __future__ import annotations

import pytest
import torch
from scripts.networks import DeepLabV3Plus, EfficientNetLite0, HierarchicalClassifier, ResNet, folded
from torch import nn


def _with_statistics(network: nn.Module) -> nn.Module:
    """Batch normalisations as training leaves them, not those of the start, which do nothing."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def _lite(**settings) -> EfficientNetLite0:
    return EfficientNetLite0(pretrained=False, output_stride=16, last_stage="stage7", **settings)


def segmenter() -> nn.Module:
    return DeepLabV3Plus(_lite(), 3, high_layer="stage7", low_layer="stage2", channels=32, low_channels=8, rates=[1, 2])


def classifier() -> nn.Module:
    return HierarchicalClassifier(_lite(), 3, ["stage5", "stage7"], [0.5, 1.0])


def resnet() -> nn.Module:
    return DeepLabV3Plus(ResNet([1, 1, 1, 1]), 3, channels=32, low_channels=8, rates=[1, 2])


@pytest.mark.parametrize("make", [segmenter, classifier, resnet])
def test_a_folded_network_gives_the_same(make):
    network = _with_statistics(make())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = folded(network)
    image = torch.rand(2, 3, 48, 80)
    with torch.no_grad():
        torch.testing.assert_close(fast(image), network(image), rtol=1e-3, atol=1e-4)
    assert _norms(network) > 10 and _norms(fast) == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class _Shared(nn.Module):
    """Two normalisations of one convolution: neither may go."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(self.conv(x)) + self.second(self.conv(x))


class _Emitted(nn.Module):
    """What the convolution gives is used beside its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return torch.cat([y, self.norm(y)], dim=1)


class _NoBias(nn.Conv2d):
    """A convolution that passes no bias on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight, None, padding=self.padding)


@pytest.mark.parametrize(
    "network",
    [_Shared(), _Emitted(), nn.Sequential(_NoBias(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)), nn.Conv2d(3, 4, 1)],
)
def test_what_cannot_be_folded_stays_as_it_is(network):
    network = _with_statistics(network)
    fast = folded(network)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(fast(image), network(image))
    assert _norms(fast) == _norms(network)
