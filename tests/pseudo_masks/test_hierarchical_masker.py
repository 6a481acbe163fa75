from __future__ import annotations

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.networks.hierarchical import HierarchicalClassifier
from scripts.pseudo_masks.cam import grad_cam, upsample
from scripts.pseudo_masks.hierarchical_masker import HierarchicalMasker
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"))


def _classifier(**settings):
    torch.manual_seed(0)
    return HierarchicalClassifier(TinyExtractor(), 3, ["b", "c"], **{"weights": [1, 3], **settings}).eval()


def test_the_fused_map_is_the_weighted_sum_of_maps_in_one():
    classifier, image = _classifier(), torch.rand(2, 3, 32, 24)
    present = torch.tensor([[True, True, False], [True, True, True]])
    masker = HierarchicalMasker(classifier, ["fused", "b", "c"], FACTS)
    maps = masker.maps(image, present)
    with torch.no_grad():
        for layer, cam in classifier.cams(classifier.extractor(image)).items():
            cam = upsample(cam, (32, 24)).relu()
            expected = cam / cam.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12) * present[:, :, None, None]
            torch.testing.assert_close(maps[layer], expected)
    torch.testing.assert_close(maps["fused"], 0.25 * maps["b"] + 0.75 * maps["c"])
    masks = masker(np.zeros((1, 16, 16, 3), np.uint8), np.array([[0, 1, 0]]))
    assert (masks == 1).all() and masks.shape == (1, 3, 16, 16)


def test_grad_cam_of_the_deepest_logit_beside_the_maps_of_the_heads():
    classifier, image = _classifier(), torch.rand(2, 3, 32, 24)
    present = torch.tensor([[True, True, False], [True, True, True]])
    masker = HierarchicalMasker(classifier, ["gradcam_b", "fused", "gradcam_c"], FACTS)
    maps = masker.maps(image, present)
    expected, _ = grad_cam(classifier, image, ["b", "c"], present, contrast=True)
    for name in ("b", "c"):
        torch.testing.assert_close(maps[f"gradcam_{name}"], upsample(expected[name], (32, 24)))
    alone = HierarchicalMasker(classifier, ["fused"], FACTS).maps(image, present)
    torch.testing.assert_close(maps["fused"], alone["fused"])
    balanced = HierarchicalMasker(classifier, ["gradcam_b"], FACTS, balance=True).maps(image, present)["gradcam_b"]
    raw, _ = grad_cam(classifier, image, ["b"], present)
    raw = upsample(raw["b"], (32, 24))
    torch.testing.assert_close(balanced, raw / raw.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6))


def test_with_context_the_maps_are_those_of_the_patch_and_have_their_maximum_there():
    classifier = _classifier()
    present = torch.tensor([[True, True, False]])
    image = torch.rand(1, 3, 48, 36)  # a patch of 32 x 24 with a quarter of its sides around it
    masker = HierarchicalMasker(classifier, ["b", "gradcam_b"], FACTS, context=0.25)
    maps = masker.maps(image, present)
    assert masker.inner(image).shape == (1, 3, 32, 24)
    torch.testing.assert_close(masker.inner(image), image[..., 8:40, 6:30])
    with torch.no_grad():
        cam = upsample(classifier.cams(classifier.extractor(image))["b"], (48, 36)).relu() * present[:, :, None, None]
    cam = cam[..., 8:40, 6:30]
    torch.testing.assert_close(maps["b"], cam / cam.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12))
    raw, _ = grad_cam(classifier, image, ["b"], present, contrast=True)
    torch.testing.assert_close(maps["gradcam_b"], upsample(raw["b"], (48, 36))[..., 8:40, 6:30])
    masks = masker(np.zeros((1, 48, 36, 3), np.uint8), np.array([[0, 1, 0]]))
    assert (masks == 1).all() and masks.shape == (1, 2, 32, 24)
    for side in range(3, 40):  # whatever is rounded, what was added is taken away
        odd = HierarchicalMasker(classifier, ["b"], FACTS, context=0.25)
        assert odd.inner(torch.zeros(1, side + 2 * round(0.25 * side), 8)).shape[1] == side


@pytest.mark.parametrize("name", ["a", "gradcam_x", "gradcam_fused"])
def test_unknown_layers_are_refused(name):
    with pytest.raises(ValueError, match=rf"\['{name}'\].*'fused', 'gradcam_a'"):
        HierarchicalMasker(_classifier(), [name], FACTS)
