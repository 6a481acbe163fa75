from __future__ import annotations

import numpy as np
import pytest
from scripts.evaluation.label_figures import classifier_figures, filled_figures, label_figures

CLASSES = ("a", "b", "c")
LABELS = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0]])


def test_labels_are_counted_alone_together_and_by_group():
    found = label_figures(LABELS, ["x", "x", "y", "y"], CLASSES)
    assert found["patches"] == 4 and found["groups"] == 2
    assert found["classes"] == {
        "a": {"patches": 3, "share": 0.75, "alone": 1, "groups": 2},
        "b": {"patches": 3, "share": 0.75, "alone": 1, "groups": 2},
        "c": {"patches": 0, "share": 0.0, "alone": 0, "groups": 0},
    }
    assert found["together"] == [[3, 2, 0], [2, 3, 0], [0, 0, 0]]


def test_groups_are_counted_where_each_is_known():
    found = label_figures(LABELS, ["x", None, "y", "y"], CLASSES)
    assert found["groups"] is None and found["classes"]["a"]["groups"] is None


def test_labels_found_by_threshold():
    probabilities = np.array([[0.9, 0.05, 0.2], [0.6, 0.4, 0.2], [0.3, 0.8, 0.2], [0.2, 0.1, 0.2]])
    found = classifier_figures(probabilities, LABELS, CLASSES, gate_threshold=0.1)
    rows = {row["threshold"]: [row[k] for k in ("tp", "fp", "fn", "tn")] for row in found["classes"]["b"]["thresholds"]}
    # above, not at, a threshold: as the gate has it
    assert rows == {0.1: [2, 0, 1, 1], 0.3: [2, 0, 1, 1], 0.5: [1, 0, 2, 1], 0.7: [1, 0, 2, 1]}
    assert [found["classes"]["a"][k] for k in ("ap", "positives", "prevalence")] == [1.0, 3, 0.75]
    assert found["classes"]["c"]["ap"] is None and found["classes"]["c"]["positives"] == 0
    assert found["mean_ap"] == pytest.approx((1.0 + found["classes"]["b"]["ap"]) / 2)
    assert found["patches"] == 4 and found["classes"]["b"]["gate_threshold"] == 0.1


def test_each_class_may_have_its_own_gate():
    found = classifier_figures(np.full((4, 3), 0.05), LABELS, CLASSES, gate_threshold=[0.1, 0.01, 0.3])
    assert [own["gate_threshold"] for own in found["classes"].values()] == [0.1, 0.01, 0.3]
    firsts = [own["thresholds"][0] for own in found["classes"].values()]
    assert [row["threshold"] for row in firsts] == [0.1, 0.01, 0.3] and [row["tp"] for row in firsts] == [0, 3, 0]


def test_a_gate_at_one_of_the_thresholds_counts_once():
    found = classifier_figures(np.full((4, 3), 0.4), LABELS, CLASSES, gate_threshold=0.3)
    assert [row["threshold"] for row in found["classes"]["a"]["thresholds"]] == [0.3, 0.5, 0.7]


def test_tissue_that_fills_more_than_a_label_asks_for():
    shares = np.array([[0.9, 0.02, 0.08], [0.02, 0.9, 0.0], [0.5, 0.5, 0.0], [0.03, 0.9, 0.0]])
    found = filled_figures(shares, LABELS, CLASSES, threshold=0.02)
    assert found["classes"] == {
        "a": {"named": 3, "named_filled": 2, "unnamed": 1, "unnamed_filled": 1},
        "b": {"named": 3, "named_filled": 3, "unnamed": 1, "unnamed_filled": 0},
        "c": {"named": 0, "named_filled": 0, "unnamed": 4, "unnamed_filled": 1},
    }
    assert found["patches"] == 4 and found["threshold"] == 0.02
