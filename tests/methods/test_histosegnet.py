from __future__ import annotations

import numpy as np
import torch
from scripts.core.facts import DatasetFacts
from scripts.methods.histosegnet import HistoSegNetMasker, subtract_others
from scripts.networks.classifier import TissueClassifier
from scripts.pseudo_masks.cam import grad_cam
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"))


def test_subtraction_by_hand():
    cam = torch.tensor([0.9, 0.5, 0.7]).reshape(1, 3, 1, 1)
    found = subtract_others(cam, torch.tensor([[True, True, True]])).flatten()
    torch.testing.assert_close(found, torch.tensor([0.2, -0.4, -0.2]))
    # an absent class neither takes nor gets
    found = subtract_others(cam, torch.tensor([[True, True, False]])).flatten()
    torch.testing.assert_close(found, torch.tensor([0.4, -0.4, 0.0]))
    assert subtract_others(cam, torch.tensor([[False, True, False]])).flatten().tolist() == [0.0, 0.5, 0.0]
    assert subtract_others(cam[:, :1], torch.tensor([[True]])).item() == cam[0, 0].item()


def test_maps_are_probabilities_of_present_classes():
    torch.manual_seed(0)
    classifier = TissueClassifier(TinyExtractor(), 3).eval()
    image, present = torch.rand(2, 3, 16, 16), torch.tensor([[True, True, False], [True, True, True]])
    for crf in (None, {"radius": 2, "dilation": 1, "iterations": 2}):
        masker = HistoSegNetMasker(classifier, ["b", "c"], FACTS, crf=crf)
        maps = masker.maps(image, present)
        for cam in maps.values():
            assert cam.shape == (2, 3, 16, 16) and (cam[0, 2] == 0).all() and (cam >= 0).all()
            torch.testing.assert_close(cam.sum(dim=1), torch.ones(2, 16, 16), atol=1e-4, rtol=0)


def test_each_map_peaks_at_the_confidence():
    torch.manual_seed(0)
    classifier = TissueClassifier(TinyExtractor(), 3).eval()
    image, present = torch.rand(2, 3, 16, 16), torch.ones(2, 3, dtype=torch.bool)
    raw, logits = grad_cam(classifier, image, ["c"])
    peaks = HistoSegNetMasker(classifier, ["c"], FACTS).cams(image, present)["c"].amax(dim=(2, 3))
    expected = torch.sigmoid(logits) * (raw["c"].amax(dim=(2, 3)) > 0)
    torch.testing.assert_close(peaks, expected)


def test_the_field_follows_the_colours():
    """Evidence of a class in one pixel of a uniform half spreads over that half and not beyond the edge."""

    class Evidence(HistoSegNetMasker):
        def cams(self, image, present):
            cam = torch.full((1, 3, 8, 8), 0.3)
            cam[0, 0, :, :4], cam[0, 1, :, 4:] = 0.4, 0.4
            cam[0, 1, 3, 1] = 0.6  # a speck of the other class
            return {"c": cam}

    classifier = TissueClassifier(TinyExtractor(), 3)
    image = np.full((1, 8, 8, 3), 40, np.uint8)
    image[:, :, 4:] = 200
    label = np.array([[1, 1, 0]])
    plain = Evidence(classifier, ["c"], FACTS)(image, label)[0, 0]
    assert plain[3, 1] == 1
    smooth = Evidence(classifier, ["c"], FACTS, crf={"radius": 3, "dilation": 1})(image, label)[0, 0]
    assert (smooth[:, :4] == 0).all() and (smooth[:, 4:] == 1).all()


def test_with_context_the_field_sees_the_patch_alone():
    torch.manual_seed(0)
    classifier = TissueClassifier(TinyExtractor(), 3).eval()
    masker = HistoSegNetMasker(classifier, ["c"], FACTS, crf={"radius": 2, "dilation": 1, "iterations": 2}, context=0.25)
    maps = masker.maps(torch.rand(1, 3, 24, 24), torch.ones(1, 3, dtype=torch.bool))
    assert maps["c"].shape == (1, 3, 16, 16)
