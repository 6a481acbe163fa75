from __future__ import annotations

import pytest
import torch
from scripts.networks.classifier import TissueClassifier
from scripts.pseudo_masks.cam import grad_cam, upsample
from tiny import TinyExtractor


def _classifier(num_classes: int = 3) -> TissueClassifier:
    return TissueClassifier(TinyExtractor(), num_classes).eval()


def _plain(classifier, image, layer, k):
    """Grad-CAM as its definition says: one image, one class, one layer."""
    features = classifier.extractor(image[None])
    feature = features[layer]
    score = classifier.head(features[classifier.layer])[0, k]
    gradient = torch.autograd.grad(score, feature)[0]
    return (gradient.mean((2, 3), keepdim=True) * feature).sum(1)[0].detach()


def test_equals_the_definition_for_every_image_class_and_layer():
    classifier, image = _classifier(), torch.rand(4, 3, 32, 40)
    cams, logits = grad_cam(classifier, image, ("a", "b", "c"))
    torch.testing.assert_close(logits, classifier(image).detach())
    for layer in ("a", "b", "c"):
        for n in range(4):
            for k in range(3):
                torch.testing.assert_close(cams[layer][n, k], _plain(classifier, image[n], layer, k), rtol=1e-4, atol=1e-7)


def test_absent_classes_are_zero_and_change_nothing():
    classifier, image = _classifier(), torch.rand(3, 3, 32, 32)
    present = torch.tensor([[1, 0, 0], [1, 0, 1], [0, 0, 1]])
    everything, _ = grad_cam(classifier, image, ("a", "c"))
    some, _ = grad_cam(classifier, image, ("a", "c"), present)
    for layer in ("a", "c"):
        torch.testing.assert_close(some[layer], everything[layer] * present[:, :, None, None])


def test_contrast_is_the_difference_to_the_first_present_class():
    classifier, image = _classifier(4), torch.rand(4, 3, 32, 32)
    present = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]])
    plain, logits = grad_cam(classifier, image, ("a", "b", "c"), present)
    relative, same = grad_cam(classifier, image, ("c", "a", "b"), present, contrast=True)
    torch.testing.assert_close(logits, same)
    for layer in ("a", "b", "c"):
        for n, first in enumerate((0, 1, 2, 0)):
            expected = (plain[layer][n] - plain[layer][n, first]) * present[n, :, None, None]
            torch.testing.assert_close(relative[layer][n], expected, rtol=1e-4, atol=1e-6)


def test_backward_passes_and_their_depth(monkeypatch):
    """One pass fewer than the largest number of present classes, down to the shallowest layer asked for."""
    classifier, image = _classifier(4), torch.rand(3, 3, 32, 32)
    calls = []
    plain = torch.autograd.grad

    def counted(target, inputs, **options):
        calls.append(inputs)
        return plain(target, inputs, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    grad_cam(classifier, image, ("b", "c"), torch.tensor([[1, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 0]]), contrast=True)
    assert len(calls) == 2 and all(len(inputs) == 1 and inputs[0].is_leaf for inputs in calls)
    grad_cam(classifier, image, ("b", "c"), torch.eye(4)[:3], contrast=True)
    grad_cam(classifier, image, ("c",), torch.ones(3, 4))
    assert len(calls) == 2


def test_leaves_the_classifier_as_it_was():
    classifier = _classifier()
    next(classifier.parameters()).requires_grad_(False)
    before = [p.requires_grad for p in classifier.parameters()]
    grad_cam(classifier, torch.rand(1, 3, 16, 16), ("b",))
    assert [p.requires_grad for p in classifier.parameters()] == before
    assert all(p.grad is None for p in classifier.parameters())


def test_refuses():
    with pytest.raises(ValueError, match="evaluation mode"):
        grad_cam(_classifier().train(), torch.rand(1, 3, 16, 16), ("b",))
    with pytest.raises(ValueError, match="no layer"):
        grad_cam(_classifier(), torch.rand(1, 3, 16, 16), ("z",))
    shallow = TissueClassifier(TinyExtractor(), 2, layer="b").eval()
    with pytest.raises(ValueError, match="behind 'b'"):
        grad_cam(shallow, torch.rand(1, 3, 16, 16), ("a", "c"))


def test_upsample_is_bilinear_without_aligned_corners():
    line = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    torch.testing.assert_close(upsample(line, (1, 4)).flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0]))
