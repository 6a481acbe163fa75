"""What labels have brought, and what more of them promise."""

from __future__ import annotations

import numpy as np
import pytest
from scripts.labelling.learning_curve import LearningCurve, _fit, learning_curve


def _set(rng, number, noise):
    labels = rng.integers(0, 2, (number, 2))
    features = np.concatenate([labels + rng.normal(0, noise, labels.shape), rng.normal(size=(number, 30))], axis=1)
    return features, labels, [str(k % 12) for k in range(number)]


def test_labels_that_tell_bring_more_and_noise_brings_nothing(rng):
    told = learning_curve(*_set(rng, 240, 0.3))
    assert told.labels[0] == 8 and told.labels[-1] == 160 and told.total == 240
    assert told.mean[-1] > 0.9 > told.mean[0]
    assert told.promise(100) >= 0
    features, labels, groups = _set(rng, 240, 0.3)
    features[:, :2] = 0
    assert learning_curve(features, labels, groups).mean[-1] == pytest.approx(0.5, abs=0.1)


def test_the_fit_finds_a_power_law():
    sizes = (10, 20, 40, 80, 160)
    limit, slope, exponent = _fit(np.array(sizes, float), np.array([0.9 - 1.2 * n**-0.6 for n in sizes]))
    assert (limit, slope, exponent) == pytest.approx((0.9, 1.2, 0.6), abs=1e-6)
    curve = LearningCurve(sizes, np.zeros(5), np.zeros(5), np.zeros((5, 2)), 200, limit, slope, exponent)
    assert curve.at(260) == pytest.approx(0.9 - 1.2 * 260**-0.6)
    # from all labels, of which the curve lacks those that are held out
    assert curve.promise(100) == pytest.approx(1.2 * (200**-0.6 - 300**-0.6))


def test_a_falling_curve_promises_nothing():
    limit, slope, exponent = _fit(np.array([10.0, 20, 40]), np.array([0.9, 0.8, 0.7]))
    assert (
        LearningCurve((10, 20, 40), np.zeros(3), np.zeros(3), np.zeros((3, 1)), 40, limit, slope, exponent).promise(100) == 0
    )


def test_groups_are_held_out_whole(rng):
    """Features that tell the slide, and not the tissue, bring nothing on slides that are new."""
    slides = np.repeat(np.arange(10), 20)
    labels = (rng.random(10) < 0.5).astype(int)[slides][:, None]
    labels[:20] = 1
    labels[20:40] = 0
    features = np.eye(10)[slides]
    curve = learning_curve(features, labels, [str(s) for s in slides])
    assert curve.mean[-1] < 0.85


def test_too_little_to_tell(rng):
    features, labels, groups = _set(rng, 240, 0.3)
    assert learning_curve(features[:15], labels[:15], groups[:15]) is None
    assert learning_curve(features, labels, ["one"] * 240) is None
    assert learning_curve(features, np.ones_like(labels), groups) is None


def test_a_class_that_nothing_shows_is_not_told(rng):
    features, labels, groups = _set(rng, 120, 0.3)
    labels[:, 1] = 0
    curve = learning_curve(features, labels, groups)
    assert np.isnan(curve.by_class[:, 1]).all() and curve.by_class[-1, 0] > 0.8
