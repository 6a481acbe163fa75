from __future__ import annotations

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from scripts.training.gate_thresholds import GateThresholds, gate_thresholds


def test_a_class_that_is_found_well_keeps_the_highest_threshold_and_another_gets_a_lower_one():
    probabilities = np.array([[0.9, 0.02], [0.8, 0.5], [0.05, 0.03], [0.7, 0.9]])
    labels = np.array([[1, 1], [1, 1], [0, 1], [1, 0]])
    found = gate_thresholds(probabilities, labels, highest=0.1, missed=0.05)
    assert found[0] == 0.1 and 0.0199 < found[1] < 0.02  # just below the least of those that name it
    assert gate_thresholds(probabilities, labels, highest=0.1, missed=0.34)[1] == pytest.approx(0.03)


@pytest.mark.parametrize("missed", [0.0, 0.05, 0.3])
def test_no_more_than_the_share_is_gated(rng, missed):
    probabilities, labels = rng.random((200, 3)) ** 4, rng.random((200, 3)) < 0.4
    for k, threshold in enumerate(gate_thresholds(probabilities, labels, 0.5, missed)):
        named = probabilities[labels[:, k], k]
        assert (named <= threshold).mean() <= missed
        following = np.sort(named)[int(missed * len(named))]
        assert threshold == 0.5 or (named <= following).mean() > missed  # and the next higher one gates more


def test_a_class_that_no_patch_names_and_one_that_is_never_seen():
    found = gate_thresholds(np.array([[0.0, 0.3], [0.2, 0.4]]), np.array([[1, 0], [1, 0]]), 0.1, 0.05)
    assert found == [0.0, 0.1]


@pytest.mark.parametrize("missed", [0.05, None])
def test_as_a_metric_it_gives_a_number_for_each_class(missed):
    logits = torch.tensor([[2.0, -5.0], [3.0, 1.0], [-4.0, 2.0]])
    labels = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    engine = Engine(lambda engine, k: [{"pred": logits[k], "label": labels[k]}])
    metric = GateThresholds(["a", "b"], highest=0.1, missed=missed)
    metric.attach(engine, "gate_threshold")
    engine.run(range(3), max_epochs=1)
    if missed is None:
        assert engine.state.metrics == {}
        return
    expected = gate_thresholds(logits.sigmoid().numpy(), labels.numpy(), 0.1, 0.05)
    assert engine.state.metrics == {"gate_threshold.a": expected[0], "gate_threshold.b": expected[1]}
    assert expected[0] == 0.1 and expected[1] == pytest.approx(0.00669, abs=1e-5)
