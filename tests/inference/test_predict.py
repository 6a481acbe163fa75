from __future__ import annotations

import numpy as np
import torch
from scripts.core.facts import DatasetFacts
from scripts.inference.predict import ComparisonNetwork, label_map
from scripts.networks.classifier import TissueClassifier
from scripts.networks.gate import gate
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.pseudo_masks.masker import PseudoMasker
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True)


def test_comparison_holds_every_method():
    torch.manual_seed(0)
    masker = PseudoMasker(TissueClassifier(TinyExtractor(), 3), ("b", "c"), FACTS)
    segmenter = DeepLabV3Plus(TinyExtractor(), 3, channels=8, rates=(1,)).eval()
    network, image = ComparisonNetwork(segmenter, masker, gate_threshold=0.5).eval(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        maps = network(image)
        probability = torch.softmax(segmenter(image), 1)
        class_probability = torch.sigmoid(masker.classifier(image))
    assert maps.shape == (2, 4 * 3, 32, 32)
    for n in range(2):
        split = network.split(maps[n])
        assert list(split) == ["segmenter", "segmenter + gate", "CAM b", "CAM c"]
        torch.testing.assert_close(split["segmenter"], probability[n].argmax(0))
        torch.testing.assert_close(split["segmenter + gate"], gate(probability, class_probability, 0.5)[n].argmax(0))
        present = class_probability[n] > 0.5
        present[class_probability[n].argmax()] = True
        assert set(split["CAM c"].unique().tolist()) <= set(torch.nonzero(present).flatten().tolist())


def test_label_map_paints_white():
    image = np.full((16, 16, 3), 90, np.uint8)
    image[:8] = 255
    probability = torch.zeros(3, 16, 16)
    probability[1] = 1
    mask = label_map(probability, image, FACTS)
    assert (mask[:8] == 3).all() and (mask[8:] == 1).all()
    assert (label_map(probability, image, DatasetFacts(classes=FACTS.classes)) == 1).all()
