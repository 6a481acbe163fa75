from __future__ import annotations

import pytest
import yaml
from scripts.core.recipes import config_files
from scripts.inference.quality import BEST, inference_scheme

RECORDED = {"flips": False, "window_scales": [2.0], "overlap": 0.25}


def test_as_recorded_or_as_often_as_ever_gained():
    assert inference_scheme(RECORDED) == RECORDED
    assert inference_scheme(RECORDED, "best") == BEST == {"flips": True, "window_scales": [1.0, 2.0], "overlap": 0.5}


def test_weights_of_before_overlap_by_half():
    before = {"flips": True, "window_scales": [1.0]}
    assert inference_scheme(before) == {**before, "overlap": 0.5}
    assert inference_scheme(before, "best") == BEST


def test_what_training_records_is_a_scheme():
    (train,) = config_files("train", None)
    with open(train, encoding="utf-8") as file:
        recorded = yaml.safe_load(file)["inference"]
    assert set(recorded) <= set(BEST) and inference_scheme(recorded).items() >= recorded.items()


def test_another_quality():
    with pytest.raises(ValueError, match="quality: found 'good', expected recorded or best"):
        inference_scheme(RECORDED, "good")
