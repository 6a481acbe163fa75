"""Winograd convolutions: those of torch, their gradients, and pseudo masks through them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.extractor import ModuleExtractor
from scripts.networks.resnet38 import ResNet38
from scripts.networks.winograd import WinogradConv2d, with_winograd
from scripts.pseudo_masks.cam import grad_cam
from scripts.pseudo_masks.masker import PseudoMasker
from torch import nn


@pytest.mark.parametrize("dilation", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 8), (7, 13), (1, 5), (3, 3)])
def test_output_and_gradient_are_those_of_the_convolution(dilation, size):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=dilation, dilation=dilation)
    fast = WinogradConv2d(conv)
    for number in (1, 3):  # the workspace is used again, for another size too
        x = torch.randn(number, 5, *size, requires_grad=True)
        expected, found = conv(x), fast(x)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max()))
        gradient = torch.randn_like(expected)
        expected, found = (torch.autograd.grad(y, x, gradient)[0] for y in (expected, found))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_unit_impulse_by_hand():
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    conv.weight.data = torch.arange(9.0).reshape(1, 1, 3, 3)
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    expected = torch.zeros(5, 5)
    expected[1:4, 1:4] = torch.tensor([[8.0, 7, 6], [5, 4, 3], [2, 1, 0]])  # a correlation mirrors its kernel
    torch.testing.assert_close(WinogradConv2d(conv)(x)[0, 0], expected, rtol=0, atol=1e-4)


def test_batches_larger_than_a_chunk():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    x = torch.randn(20, 2, 64, 64)  # 256 tiles each: two patches at a time
    torch.testing.assert_close(WinogradConv2d(conv)(x), conv(x), rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(8, 8, 3, padding=1, stride=2),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding=2),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(8, 8, 3, padding=1).double(),
    ],
)
def test_other_convolutions_stay_as_they_are(conv):
    network = nn.Sequential(conv)
    assert with_winograd(network, min_channels=1) is network
    with pytest.raises(ValueError, match="3x3"):
        WinogradConv2d(conv)


def test_copy_shares_weights_and_leaves_the_network_alone():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1))
    before = {name: type(module) for name, module in network.named_modules()}
    twin = with_winograd(network, min_channels=8)
    assert {name: type(module) for name, module in network.named_modules()} == before
    assert [type(module) for module in twin] == [nn.Conv2d, nn.BatchNorm2d, WinogradConv2d]
    assert twin[0].weight is network[0].weight and twin[1].running_mean is network[1].running_mean


def test_grad_cam_and_masks_of_a_resnet38():
    torch.manual_seed(0)
    classifier = TissueClassifier(ResNet38(width=1 / 16), 4).eval()
    twin = with_winograd(classifier, min_channels=1)
    assert sum(isinstance(module, WinogradConv2d) for module in twin.modules()) == 30
    image = torch.rand(3, 3, 64, 64)
    layers = ["b4_5", "b5_2", "bn7"]
    expected, expected_logits = grad_cam(classifier, image, layers)
    found, found_logits = grad_cam(twin, image, layers)
    torch.testing.assert_close(found_logits, expected_logits, rtol=1e-4, atol=1e-6)
    for layer in layers:
        spread = float(expected[layer].max() - expected[layer].min())
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-3, atol=1e-3 * spread)


def test_masker_uses_it_for_wide_networks_only():
    facts = DatasetFacts(classes=("a", "b"))
    wide = TissueClassifier(ResNet38(width=1 / 4), 2)
    masker = PseudoMasker(wide, ["b5_2", "bn7"], facts)
    assert any(isinstance(module, WinogradConv2d) for module in masker.classifier.modules())
    assert not any(isinstance(module, WinogradConv2d) for module in wide.modules())
    narrow = TissueClassifier(ResNet38(width=1 / 16), 2)
    assert PseudoMasker(narrow, ["bn7"], facts).classifier is narrow
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    plain = PseudoMasker(wide, ["b5_2", "bn7"], facts)
    plain.classifier = wide.eval()
    labels = np.ones((2, 2), int)
    assert (masker(images, labels) == plain(images, labels)).mean() > 0.9995


def test_extractor_around_a_module_is_copied_with_its_hooks():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    extractor = ModuleExtractor(module, ["1", "3"]).eval()
    image = torch.rand(1, 3, 16, 16)
    expected = extractor(image)
    for twin in (copy.deepcopy(extractor), with_winograd(extractor, min_channels=8)):
        found = twin(image)
        assert found.keys() == expected.keys()
        for layer in expected:
            torch.testing.assert_close(found[layer], expected[layer], rtol=0, atol=1e-5)
    hooked = ModuleExtractor(module, ["2"])
    assert with_winograd(hooked, min_channels=8) is hooked  # its only candidate is a layer that is read
