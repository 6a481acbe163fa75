from __future__ import annotations

import numpy as np
import pytest
import torch
from scripts.methods.sc_cam import SubCategories, SubCategoryLoss
from scripts.networks.subcategories import SubCategoryClassifier
from tiny import TinyExtractor
from torch.nn import functional


def _classifier(k=2, classes=2):
    torch.manual_seed(0)
    return SubCategoryClassifier(TinyExtractor(), classes, subcategories=k, dropout=0.0)


def _with_centres(classifier):
    classifier.centres.fill_(float("inf"))
    width = classifier.centres.shape[2]
    classifier.centres[0] = torch.stack([torch.zeros(width), torch.ones(width)])
    return classifier


def test_sub_labels_by_hand():
    classifier = _with_centres(_classifier())
    feature = torch.stack([torch.full((16,), v) for v in (0.1, 0.9, 0.8)])
    label = torch.tensor([[1, 1], [1, 0], [0, 1]])
    expected = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]])  # class 1 has no centres
    assert torch.equal(classifier.sub_labels(feature, label), expected)


def test_the_loss_before_and_after_clustering():
    classifier = _classifier().train()
    image, label = torch.rand(3, 3, 32, 32), torch.tensor([[1, 0], [0, 1], [1, 1]])
    output = classifier(image)
    assert output["logits"].shape == (3, 2) and output["sub_logits"].shape == (3, 4) and output["feature"].shape == (3, 16)
    plain = functional.multilabel_soft_margin_loss(output["logits"], label)
    loss = SubCategoryLoss(classifier, weight=2.0)
    torch.testing.assert_close(loss(output, label), plain)
    _with_centres(classifier)
    target = classifier.sub_labels(output["feature"], label).flatten(1)
    expected = plain + 2 * functional.multilabel_soft_margin_loss(output["sub_logits"], target)
    torch.testing.assert_close(loss(output, label), expected)
    assert not list(loss.parameters())
    assert classifier.eval()(image).shape == (3, 2)


def test_clusters_are_found_and_stay_in_the_state(rng):
    classifier = _classifier()
    near, far = rng.normal(0, 0.1, (20, 16)), rng.normal(5, 0.1, (20, 16))
    features = np.concatenate([near, far, rng.normal(9, 0.1, (1, 16))])
    labels = np.array([[1, 0]] * 40 + [[0, 1]])
    clusters = SubCategories(classifier, [], epochs=[2], seed=0)
    clusters.set_centres(features, labels)
    found = sorted(classifier.centres[0].mean(dim=1).tolist())
    np.testing.assert_allclose(found, [near.mean(), far.mean()], atol=1e-6)
    assert classifier.centres[1].isinf().all()  # one patch is too few
    other = _classifier()
    other.load_state_dict(classifier.state_dict())
    assert torch.equal(other.centres, classifier.centres)


def test_clustering_uses_the_network_as_it_is_and_leaves_its_mode():
    classifier = _classifier().train()
    images, labels = torch.rand(6, 3, 32, 32), torch.tensor([[1, 1]] * 6)
    before = {k: v.clone() for k, v in classifier.state_dict().items() if k != "centres"}
    loader = [{"image": images[:3], "label": labels[:3]}, {"image": images[3:], "label": labels[3:]}]
    SubCategories(classifier, loader, epochs=[1]).cluster()
    assert classifier.training and all(torch.equal(classifier.state_dict()[k], v) for k, v in before.items())
    with torch.no_grad():
        feature = classifier.eval().extractor(images)["c"].mean(dim=(2, 3))
    member = classifier.sub_labels(feature, labels)[:, 0].argmax(dim=1)
    for k in range(2):
        torch.testing.assert_close(classifier.centres[0, k], feature[member == k].mean(dim=0), atol=1e-5, rtol=1e-5)


def test_one_sub_category_is_none():
    with pytest.raises(ValueError, match="two or more"):
        _classifier(k=1)
