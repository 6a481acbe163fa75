from __future__ import annotations

import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.networks.hierarchical import HierarchicalClassifier, Rectification
from scripts.networks.pda import ProgressiveDropoutAttention
from scripts.training.every_depth import EveryDepthLoss
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


def test_the_gate_and_the_smoothing_learn_although_their_scales_start_at_zero():
    classifier = _classifier(reduction=1)  # a hidden layer of one unit may be dead
    classifier.train()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.5)
    image, label = torch.rand(4, 3, 32, 32), torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    start = {k: v.clone() for k, v in classifier.named_parameters()}
    for _ in range(2):  # the scales leave zero in the first step, what they scale moves in the second
        optimizer.zero_grad()
        EveryDepthLoss(torch.nn.MultiLabelSoftMarginLoss())(classifier(image), label).backward()
        optimizer.step()
    still = [k for k, v in classifier.named_parameters() if torch.equal(v, start[k])]
    assert not [k for k in still if k.startswith(("rectifications", "heads", "class_head"))]


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
    with pytest.raises(ValueError, match="no layer"):
        HierarchicalClassifier(TinyExtractor(), 3, ["b", "x"], [1, 1])
