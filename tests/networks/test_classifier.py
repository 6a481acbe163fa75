from __future__ import annotations

import torch
from scripts.networks.classifier import TissueClassifier
from tiny import TinyExtractor


def test_logits_are_pooled_class_activation_maps():
    classifier = TissueClassifier(TinyExtractor(), 5).eval()
    image = torch.rand(2, 3, 24, 32)
    cam = torch.nn.functional.conv2d(classifier.extractor(image)["c"], classifier.class_head.weight)
    torch.testing.assert_close(classifier(image), cam.mean((2, 3)))
    assert classifier.class_head.bias is None and classifier.num_classes == 5


def test_reads_the_layer_asked_for():
    classifier = TissueClassifier(TinyExtractor(), 2, layer="b")
    assert classifier.class_head.in_channels == 8


def test_pda_acts_in_training_alone():
    classifier = TissueClassifier(TinyExtractor(), 2, dropout=0.0)
    classifier.extractor.eval()
    image = torch.rand(2, 3, 24, 24)
    plain = classifier(image)
    classifier.pda.enabled, classifier.pda.coefficient = True, 0.5
    assert not torch.allclose(classifier(image), plain)
    torch.testing.assert_close(classifier.eval()(image), plain)
