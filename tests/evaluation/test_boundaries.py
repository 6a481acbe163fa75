from __future__ import annotations

import numpy as np
import pytest
from scripts.evaluation.boundaries import Boundaries


def test_near_and_beyond_a_straight_border():
    """Two halves of 40 x 30 px: pixels 0 to 3 px from the last column before the border are near."""
    truth = np.repeat([0, 1], 15)[None].repeat(40, axis=0)
    counted = Boundaries(2, distance=3)
    assert np.flatnonzero(counted.near(truth)[0]).tolist() == list(range(11, 19))
    prediction = truth.copy()
    prediction[0, 15:17] = 0  # wrong near the border
    prediction[5, 0] = 1  # wrong within a tissue
    counted.update(prediction, truth)
    assert counted.scores() == {
        "distance": 3,
        "near": {"pixels": 8 * 40, "wrong": 2},
        "beyond": {"pixels": 22 * 40, "wrong": 1},
    }


def test_white_and_what_is_not_annotated_make_borders_and_count_nowhere():
    truth = np.full((9, 9), 2, np.uint8)  # white of two classes
    truth[4, 4] = 0
    counted = Boundaries(2, distance=1)
    counted.update(np.zeros((9, 9)), truth)
    assert counted.scores()["near"] == {"pixels": 1, "wrong": 0} and counted.scores()["beyond"]["pixels"] == 0


@pytest.mark.parametrize("value", [0, 1])
def test_one_tissue_has_no_border(value):
    counted = Boundaries(2)
    counted.update(np.zeros((20, 20), int), np.full((20, 20), value))
    assert counted.scores()["near"]["pixels"] == 0 and counted.scores()["beyond"] == {"pixels": 400, "wrong": 400 * value}
