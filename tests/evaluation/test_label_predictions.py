from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.images import read_mask
from scripts.evaluation.label_predictions import LabelPredictions, PatchNetwork
from torch import nn

FACTS = DatasetFacts(classes=("a", "b"), white_background=True)


class _Segmenter(nn.Module):
    """The first class where red is strong, the second elsewhere."""

    def forward(self, image):
        return torch.stack([image[:, 0] * 10, torch.full_like(image[:, 0], 5.0)], dim=1)


class _Classifier(nn.Module):
    def forward(self, image):
        return torch.logit(torch.tensor([0.05, 0.8])).repeat(len(image), 1)


@pytest.mark.parametrize(("gated", "threshold", "first"), [(True, 0.1, 0), (False, 0.1, 6), (True, 0.01, 6)])
def test_both_networks_are_asked_about_a_patch_and_the_gate_is_applied_where_asked_for(gated, threshold, first):
    image = torch.zeros(2, 3, 4, 4)
    image[:, 0, 0, :3] = 1.0
    found = PatchNetwork(_Segmenter(), _Classifier(), gated=gated, gate_threshold=threshold)(image)
    torch.testing.assert_close(found["classes"], torch.tensor([[0.05, 0.8]]).repeat(2, 1))
    assert found["maps"].shape == (2, 2, 4, 4) and int((found["maps"].argmax(1) == 0).sum()) == first


def test_what_is_said_of_patches_is_kept_with_their_entries(tmp_path):
    """White is painted, and counts in the size of the patch."""
    image = torch.full((1, 3, 40, 50), 0.4)
    image[:, :, 20:] = 1.0
    maps = torch.zeros(1, 2, 40, 50)
    maps[:, 0, :, :10] = 1.0
    maps[:, 1, :, 10:] = 1.0
    entry = {"name": "p", "image": "p.png", "label": [1, 0], "corner": (0, 4)}
    state = SimpleNamespace(
        batch={"entry": [entry]},
        output={"image": image, "pred": {"maps": maps, "classes": torch.tensor([[0.25, 0.75]])}},
    )
    kept = LabelPredictions(FACTS, tmp_path)
    kept(SimpleNamespace(state=state))
    assert kept.labels.tolist() == [[1, 0]] and kept.probabilities.tolist() == [[0.25, 0.75]]
    mask = read_mask(tmp_path / "label_maps/p.png")
    assert mask[0].tolist() == [0] * 10 + [1] * 40 and kept.rows[0]["map"] == str(tmp_path / "label_maps/p.png")
    white = (mask == FACTS.white_value).mean()
    assert white > 0.4 and kept.shares[0].tolist() == pytest.approx([(mask == k).mean() for k in (0, 1)])
    assert kept.shares[0].sum() == pytest.approx(1 - white)
    assert {k: kept.rows[0][k] for k in entry} == entry


def test_without_patches_there_are_no_figures(tmp_path):
    assert LabelPredictions(FACTS, tmp_path).shares.shape == (0, 2) == np.zeros((0, 2)).shape
