"""What a quality of inference comes to, for weights of today and of before."""

from __future__ import annotations

import pytest
import yaml
from scripts.core.facts import DatasetFacts
from scripts.core.recipes import config_files
from scripts.inference.quality import BEST, FAST, gate_thresholds, inference_scheme
from scripts.weights.description import Description

RECORDED = {"flips": False, "turned": True, "window_scales": [2.0], "overlap": 0.25, "gate_threshold": 0.02}


def test_as_recorded_whatever_the_classifier_says():
    assert inference_scheme(RECORDED, gate_threshold=0.1) == RECORDED


def test_few_looks_and_many_whatever_is_recorded():
    assert inference_scheme(RECORDED, "fast", 0.1) == {**FAST, "gate_threshold": 0.1}
    assert FAST == {"flips": False, "turned": True, "window_scales": [1.0, 2.0], "overlap": 0.25}
    assert inference_scheme(RECORDED, "best", 0.1) == {**BEST, "gate_threshold": 0.1}
    assert BEST == {"flips": False, "turned": True, "window_scales": [1.0, 2.0], "overlap": 0.375}


def test_weights_of_before_overlap_by_half_and_have_the_classifiers_gate():
    before = {"flips": True, "window_scales": [1.0]}
    assert inference_scheme(before, gate_threshold=0.2) == {**before, "turned": False, "overlap": 0.5, "gate_threshold": 0.2}


def test_what_training_records_is_a_scheme():
    (train,) = config_files("train", None)
    with open(train, encoding="utf-8") as file:
        recorded = yaml.safe_load(file)["inference"]
    assert set(recorded) <= {*FAST, "gate_threshold"} and inference_scheme(recorded).items() >= recorded.items()


def test_another_quality():
    with pytest.raises(ValueError, match="quality: found 'good', expected one of recorded, fast, best"):
        inference_scheme(RECORDED, "good")


def test_each_class_has_the_threshold_that_training_measured():
    facts = DatasetFacts(classes=("a", "b"))

    def described(**scores):
        return Description("classifier", {}, facts, "default", "0" * 64, gate_threshold=0.1, scores=scores)

    assert gate_thresholds(described(mean_ap=0.9)) == 0.1
    assert gate_thresholds(described(**{"gate_threshold.a": 0.1})) == 0.1  # of other classes
    assert gate_thresholds(described(**{"gate_threshold.a": 0.1, "gate_threshold.b": 0.02})) == [0.1, 0.02]
    with pytest.raises(ValueError, match=r"gate_threshold\.b"):
        gate_thresholds(described(**{"gate_threshold.a": 0.1, "gate_threshold.b": 2}))
