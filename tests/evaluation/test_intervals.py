from __future__ import annotations

import numpy as np
import pytest
from scripts.core.metrics import ConfusionMatrix
from scripts.evaluation.intervals import bootstrap, spread


def test_images_that_are_all_alike_leave_nothing_open():
    matrix = np.array([[8, 2, 0], [1, 9, 0]])
    found = bootstrap([matrix] * 5)
    counted = ConfusionMatrix(2)
    counted.matrix = matrix
    scores = counted.scores("ab")
    assert found["miou"] == pytest.approx([scores["miou"]] * 2) and found["fwiou"] == pytest.approx([scores["fwiou"]] * 2)


def test_two_images_one_right_one_wrong():
    """A draw is all right (1), half (1/3: 4 of 12 px) or all wrong (0), a quarter, a half and a quarter of the time."""
    right, wrong = np.array([[4, 0, 0], [0, 4, 0]]), np.array([[0, 4, 0], [4, 0, 0]])
    found = bootstrap([right, wrong], draws=4000, level=0.6)
    assert found["miou"] == pytest.approx([0, 1]) and found["fwiou"] == pytest.approx([0, 1]) and found["images"] == 2
    assert bootstrap([right, wrong], draws=4000, level=0.4)["miou"] == pytest.approx([1 / 3, 1 / 3])


def test_the_draws_are_those_of_the_seed_and_the_interval_holds_the_score(rng):
    matrices = [rng.integers(0, 50, (3, 4)) + 40 * np.eye(3, 4, dtype=int) for _ in range(30)]
    whole = ConfusionMatrix(3)
    whole.matrix = np.sum(matrices, axis=0)
    found = bootstrap(matrices, seed=1)
    assert found == bootstrap(matrices, seed=1) != bootstrap(matrices, seed=2)
    for name in ("miou", "fwiou"):
        low, high = found[name]
        assert low < whole.scores("abc")[name] < high


def test_of_nothing_nothing_is_known():
    matrix = np.array([[3, 1, 0], [0, 0, 0]])
    assert bootstrap([matrix])["miou"] is None and bootstrap([])["images"] == 0
    assert bootstrap([np.zeros((2, 3), int)] * 3)["fwiou"] is None
    assert spread([None, 0.5]) == {"images": 1, "mean": 0.5, "sd": None}
    assert spread([0.2, 0.4, None])["sd"] == pytest.approx(np.sqrt(0.02)) and spread([])["mean"] is None
