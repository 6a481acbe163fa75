"""What networks see in patches."""

from __future__ import annotations

import numpy as np
import torch
from scripts.labelling.looks import Onlooker, batched, standardised
from scripts.networks import HierarchicalClassifier
from tiny import TinyExtractor


def _patches(rng, count, size=(32, 32)):
    return [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(count)]


def test_features_are_means_of_the_maps_and_probabilities_the_classifiers(rng):
    extractor = TinyExtractor()  # not the classifier's own
    classifier = HierarchicalClassifier(TinyExtractor(), 3, ["a", "b", "c"], [0.2, 0.3, 0.5]).eval()
    patches = _patches(rng, 5)
    looks = Onlooker(extractor, classifier)(batched(patches, (32, 32), 2))
    image = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        maps = extractor(image)
        expected = torch.cat([maps[name].mean(dim=(2, 3)) for name in ("a", "b", "c")], dim=1)
        probability = torch.sigmoid(classifier(image))
    assert looks.features.shape == (5, 32)
    np.testing.assert_allclose(looks.features, expected, atol=1e-5)
    np.testing.assert_allclose(looks.probability, probability, atol=1e-5)


def test_without_a_classifier_there_are_no_probabilities_and_of_nothing_there_is_nothing(rng):
    onlooker = Onlooker(TinyExtractor())
    assert onlooker(batched(_patches(rng, 3), (32, 32))).probability is None
    assert onlooker(batched([], (32, 32))).features.shape == (0, 0)


def test_patches_of_another_size_are_resampled(rng):
    plain = np.full((48, 40, 3), 77, np.uint8)
    (batch,) = batched([plain, *_patches(rng, 1)], (32, 32))
    assert batch.shape == (2, 32, 32, 3) and (batch[0] == 77).all()


def test_standardised_features_are_told_apart_by_their_cosines(rng):
    features = rng.normal(5, 3, (50, 8))
    found = standardised(features)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(standardised(features * 7 + 2), found, atol=1e-6)
    assert np.isfinite(standardised(np.ones((4, 3)))).all()
