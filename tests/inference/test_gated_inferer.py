from __future__ import annotations

import numpy as np
import pytest
import torch
from packed import FACTS
from scripts.inference import GatedInferer, LabelMapd, MultiWindowInferer
from scripts.networks.gate import GatedSegmenter
from torch import nn


class Constant(nn.Module):
    """The same logits for every image: ``(N, C, H, W)``, or ``(N, C)``."""

    def __init__(self, logits, spatial):
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits))
        self.spatial = spatial

    def forward(self, x):
        logits = self.logits.expand(len(x), -1)
        return logits[:, :, None, None].expand(-1, -1, *x.shape[2:]) if self.spatial else logits


SEGMENTER, CLASSIFIER = Constant([3.0, 2.0, 1.0], True), Constant([-9.0, 9.0, 9.0], False)
IMAGES = torch.rand(1, 3, 40, 24, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("flips", [False, True])
def test_classes_that_the_classifier_rules_out_are_gated_in_every_window(flips):
    windows = MultiWindowInferer((16, 16), (1.0, 1.5), overlap=0.25, mode="gaussian")
    found = GatedInferer(windows, CLASSIFIER, [0.5] * 3, flips=flips)(IMAGES, SEGMENTER)
    torch.testing.assert_close(found, windows(IMAGES, GatedSegmenter(SEGMENTER, CLASSIFIER, True, 0.5, flips)))
    assert found.argmax(dim=1).unique().tolist() == [1] and float(found[:, 0].max()) == 0.0


def test_without_a_classifier_nothing_is_gated():
    found = GatedInferer(MultiWindowInferer((16, 16)), None)(IMAGES, SEGMENTER)
    torch.testing.assert_close(found[0, :, 5, 7], torch.softmax(torch.tensor([3.0, 2.0, 1.0]), dim=0))


def test_label_maps_have_white_painted_where_the_image_is_white():
    image = torch.full((3, 40, 24), 120 / 255)
    image[:, :20] = 1.0
    found = LabelMapd("pred", FACTS)({"image": image, "pred": torch.softmax(SEGMENTER(image[None])[0], dim=0)})["pred"]
    assert found.dtype == torch.uint8 and found.shape == (40, 24)
    assert np.unique(found[:15]).tolist() == [FACTS.white_value] and np.unique(found[25:]).tolist() == [0]
