from __future__ import annotations

import pytest
import torch
from scripts.export.gated_graph import GatedGraph
from scripts.networks.gate import GatedSegmenter
from torch import nn


class _Constant(nn.Module):
    """The same logits for any image."""

    def __init__(self, probabilities):
        super().__init__()
        self.register_buffer("logits", torch.logit(torch.tensor(probabilities)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(image.shape[0], -1)


class _Linear(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 5 * image


@pytest.mark.parametrize(
    ("thresholds", "kept"), [([0.1, 0.1, 0.1], [1, 1, 1]), ([0.3, 0.1, 0.95], [0, 1, 0]), ([0.9, 0.9, 0.95], [1, 1, 1])]
)
def test_it_is_the_gate_of_inference(thresholds, kept):
    """A class is gated by its own threshold; where all would be, none is."""
    image, networks = torch.rand(2, 3, 4, 5), (_Linear(), _Constant([0.2, 0.5, 0.9]))
    found = GatedGraph(*networks, thresholds)(image)
    torch.testing.assert_close(found, GatedSegmenter(*networks, gate_threshold=thresholds)(image))
    assert [int(p > 0) for p in found.amax((0, 2, 3))] == kept
