from __future__ import annotations

import pytest
import torch
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.segmenter import DeepLabV3Plus
from tiny import TinyExtractor


@pytest.mark.parametrize("size", [(32, 32), (45, 70)])
@pytest.mark.parametrize("separable", [True, False])
def test_logits_have_the_size_of_the_image(size, separable):
    network = DeepLabV3Plus(TinyExtractor(), 6, channels=16, rates=(1, 2), separable=separable).eval()
    assert network(torch.rand(2, 3, *size)).shape == (2, 6, *size)


def test_default_layers():
    network = DeepLabV3Plus(EfficientNetLite0(pretrained=False, last_stage="stage7"), 4)
    assert (network.high_layer, network.low_layer) == ("stage7", "stage2")


def test_refuses_layers():
    with pytest.raises(ValueError, match="no layer"):
        DeepLabV3Plus(TinyExtractor(), 2, high_layer="z")


def test_learns_a_mask():
    """A few steps on one image bring the loss down: gradients reach every parameter."""
    network = DeepLabV3Plus(TinyExtractor(), 2, channels=16, rates=(1, 2), dropout=(0.0, 0.0, 0.0))
    image = torch.rand(2, 3, 32, 32)
    mask = (image.mean(1) > 0.5).long()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(p.grad is not None for p in network.parameters())
    assert losses[-1] < 0.95 * losses[0]
