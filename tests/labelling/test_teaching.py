"""What the label of a patch would teach."""

from __future__ import annotations

import numpy as np
import pytest
from scripts.labelling.teaching import binary_entropy, teaching_value

SURE = np.array([[0.9, 0.1]] * 4)


def test_entropy_of_known_answers():
    assert binary_entropy(np.array([0.5, 0.25, 0.0, 1.0])) == pytest.approx([1.0, 0.811278, 0.0, 0.0], abs=1e-6)


def test_the_patch_that_a_model_is_least_sure_of_teaches_most():
    probability = np.array([[0.99, 0.01], [0.6, 0.3], [0.5, 0.5]])
    value = teaching_value(probability)
    assert value.argsort().tolist() == [0, 1, 2]
    assert value.mean() == pytest.approx(0) and value.std() == pytest.approx(1)


def test_doubt_about_a_rare_class_counts_more():
    probability = np.array([[0.5, 0.01], [0.01, 0.5]])
    labelled = np.array([[1, 0]] * 9 + [[1, 1]])
    assert teaching_value(probability, labelled=labelled).argmax() == 1
    assert teaching_value(probability, labelled=labelled[:, ::-1]).argmax() == 0
    assert teaching_value(probability, labelled=labelled[:0]) == pytest.approx([0, 0], abs=1e-6)


def test_depths_that_disagree_count_and_those_that_all_doubt_do_not():
    depths = np.full((4, 3, 2), 0.5)
    depths[2] = [[0.99, 0.5], [0.01, 0.5], [0.99, 0.5]]
    assert teaching_value(SURE, depths).argmax() == 2
    assert teaching_value(SURE, np.full((4, 3, 2), 0.5)) == pytest.approx(0, abs=1e-6)


def test_a_segmenter_that_sees_otherwise_counts():
    shares = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.95, 0.05]])
    value = teaching_value(SURE, shares=shares)
    assert value.argmax() == 2 and value.argmin() == 0


def test_signs_count_alike_whatever_their_units():
    rng = np.random.default_rng(0)
    probability, depths, shares = rng.random((50, 2)), rng.random((50, 3, 2)), rng.dirichlet([1, 1], 50)
    alone = [teaching_value(probability), teaching_value(SURE.repeat(50, 0)[:50], depths)]
    both = teaching_value(probability, depths)
    assert both == pytest.approx(alone[0] + alone[1])
    assert np.isfinite(teaching_value(probability, depths, shares)).all()
