from __future__ import annotations

import numpy as np
import pytest
import torch
from scripts.cam import grad_cam, upsample
from scripts.facts import DatasetFacts
from scripts.pda import ProgressiveDropoutAttention
from scripts.sshr import HierarchicalClassifier, HierarchicalMasker, PerScaleLoss, Rectification
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"))


def _classifier(**settings):
    torch.manual_seed(0)
    return HierarchicalClassifier(TinyExtractor(), 3, ["b", "c"], **{"weights": [1, 3], **settings}).eval()


def test_rectification_starts_as_identity_and_then_adds_gate_and_mean():
    torch.manual_seed(0)
    layer, feature, pooled = Rectification(4, 8, kernel=3), torch.rand(2, 4, 5, 5), torch.rand(2, 8)
    torch.testing.assert_close(layer(feature, pooled), feature, rtol=0, atol=0)
    with torch.no_grad():
        layer.smooth_scale.fill_(0.5)
    expected = feature[:, :, 2, 2] + 0.5 * feature[:, :, 1:4, 1:4].mean(dim=(2, 3))
    torch.testing.assert_close(layer(feature, pooled)[:, :, 2, 2], expected)
    with torch.no_grad():
        layer.smooth_scale.zero_()
        layer.gate_scale.fill_(2.0)
    gate = layer.gate(pooled)
    assert gate.shape == (2, 4) and (gate > 0).all() and (gate < 1).all()
    torch.testing.assert_close(layer(feature, pooled), feature * (1 + 2 * gate[:, :, None, None]))


def test_logits_are_the_pooled_maps_of_each_depth():
    classifier, image = _classifier(dropout=0.0), torch.rand(2, 3, 32, 32)
    maps = classifier.cams(classifier.extractor(image))
    assert list(maps) == ["b", "c"] and maps["b"].shape == (2, 3, 8, 8) and maps["c"].shape == (2, 3, 4, 4)
    pooled = torch.stack([m.mean(dim=(2, 3)) for m in maps.values()], dim=1)
    torch.testing.assert_close(classifier(image), 0.25 * pooled[:, 0] + 0.75 * pooled[:, 1])
    classifier.train()
    classifier.extractor.eval()  # batch statistics would differ
    torch.testing.assert_close(classifier(image), pooled)


def test_the_loss_is_the_mean_over_depths():
    torch.manual_seed(0)
    logits, label = torch.randn(4, 2, 3), torch.randint(0, 2, (4, 3))
    plain = torch.nn.MultiLabelSoftMarginLoss()
    torch.testing.assert_close(PerScaleLoss()(logits, label), (plain(logits[:, 0], label) + plain(logits[:, 1], label)) / 2)


def test_the_gate_and_the_smoothing_learn_although_their_scales_start_at_zero():
    classifier = _classifier(reduction=1)  # a hidden layer of one unit may be dead
    classifier.train()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.5)
    image, label = torch.rand(4, 3, 32, 32), torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    start = {k: v.clone() for k, v in classifier.named_parameters()}
    for _ in range(2):  # the scales leave zero in the first step, what they scale moves in the second
        optimizer.zero_grad()
        PerScaleLoss()(classifier(image), label).backward()
        optimizer.step()
    still = [k for k, v in classifier.named_parameters() if torch.equal(v, start[k])]
    assert not [k for k in still if k.startswith(("rectifications", "heads", "class_head"))]


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


def test_progressive_dropout_attention_acts_before_the_deepest_head():
    torch.manual_seed(0)
    pda = ProgressiveDropoutAttention(coefficient=0.5, enabled=True)
    classifier = _classifier(dropout=0.0, pda=pda)
    image = torch.rand(2, 3, 32, 32)
    plain = classifier.cams(classifier.extractor(image))
    classifier.train()
    classifier.extractor.eval()  # batch statistics would differ
    logits = classifier(image)
    torch.testing.assert_close(logits[:, 0], plain["b"].mean(dim=(2, 3)))
    attended = pda(classifier.rectify(classifier.extractor(image))[-1], classifier.class_head.weight)
    torch.testing.assert_close(logits[:, 1], classifier.class_head(attended).mean(dim=(2, 3)))
    assert not torch.allclose(logits[:, 1], plain["c"].mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"weights": [1]}, "weight for each"), ({"weights": [0, 0]}, "weight"), ({"weights": [2, -1]}, "weight")],
)
def test_weights_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        _classifier(**settings)


def test_unknown_layers_are_refused():
    for name in ("a", "gradcam_x", "gradcam_fused"):
        with pytest.raises(ValueError, match=rf"\['{name}'\].*'fused', 'gradcam_a'"):
            HierarchicalMasker(_classifier(), [name], FACTS)
    with pytest.raises(ValueError, match="no layer"):
        HierarchicalClassifier(TinyExtractor(), 3, ["b", "x"], [1, 1])
