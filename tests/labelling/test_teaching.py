"""What the label of a patch would teach."""

from __future__ import annotations

import numpy as np
import pytest
from scripts.labelling.teaching import binary_entropy, teaching_value


def test_entropy_of_known_answers():
    assert binary_entropy(np.array([0.5, 0.25, 0.0, 1.0])) == pytest.approx([1.0, 0.811278, 0.0, 0.0], abs=1e-6)


def test_the_patch_that_a_model_is_least_sure_of_teaches_most():
    probability = np.array([[0.99, 0.01], [0.6, 0.3], [0.5, 0.5]])
    value = teaching_value(probability)
    assert value.argsort().tolist() == [0, 1, 2]
    assert value[2] == pytest.approx(1.0)
