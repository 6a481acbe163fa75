"""Verdicts on scores with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scripts.core.metrics import ConfusionMatrix
from scripts.evaluation.score_verdicts import score_verdicts


def scores(rows, classes="ab"):
    matrix = ConfusionMatrix(len(classes))
    matrix.matrix = np.array(rows)
    return matrix.scores(list(classes))


RIGHT = scores([[90, 10, 0], [10, 90, 0]])  # IoU 90 / 110 of either class
FAIR = scores([[80, 20, 0], [20, 80, 0]])
GUESS = scores([[100, 0, 0], [100, 0, 0]])


def verdicts(record=RIGHT, maps=FAIR, plain=RIGHT, guess=GUESS, **more):
    methods = {"majority class (a)": guess, "CAM fused": maps, "segmenter": plain, "segmenter + gate": record}
    return [(v.kind, v.text) for v in score_verdicts({"method": "segmenter + gate", "scores": methods, **more})]


def test_better_than_its_maps_and_the_guess_is_good():
    assert verdicts() == [("good", "segmenter + gate has 81.8 mIoU, the classifier's own map fused 66.7.")]


def test_losing_to_its_own_maps_is_bad_and_comes_first():
    kind, text = verdicts(record=FAIR, maps=RIGHT, plain=FAIR)[0]
    assert kind == "bad" and "66.7 mIoU, the classifier's own map fused 81.8" in text and "Look at its pseudo masks" in text


def test_no_better_than_the_majority_guess():
    all_b = scores([[0, 100, 0], [0, 100, 0]])
    kind, text = verdicts(record=all_b, plain=all_b, maps=all_b)[0]
    assert kind == "bad" and "25.0 mIoU, giving every pixel the class a has 25.0" in text
    mixed = scores([[80, 20, 0], [0, 10, 0]])  # mIoU above the guess's, FwIoU below it
    guess = scores([[100, 0, 0], [10, 0, 0]])
    (text,) = [t for k, t in verdicts(record=mixed, plain=mixed, maps=mixed, guess=guess) if k == "bad"]
    assert "FwIoU" in text and "mIoU," not in text


@pytest.mark.parametrize(("plain", "said"), [(RIGHT, True), (scores([[80, 20, 0], [19, 81, 0]]), True), (FAIR, False)])
def test_what_the_gate_costs(plain, said):
    found = [text for kind, text in verdicts(record=FAIR, plain=plain) if kind == "watch"]
    assert bool(found) is (said and plain["miou"] - FAIR["miou"] >= 0.005)
    if found:
        assert found[0].startswith("Without the gate it would be") and found[0].endswith("set gated to false.")


def test_weak_and_absent_classes_are_named():
    record = scores([[50, 0, 0, 0], [35, 15, 0, 0], [0, 0, 0, 0]], "abc")
    texts = [
        text
        for _, text in verdicts(
            record=record, plain=record, maps=record, guess=scores([[50, 0, 0, 0]] * 2 + [[0] * 4], "abc")
        )
    ]
    assert "b: 30.0 IoU, 70 % of it are taken for a." in texts
    assert "No test image shows c: the figures say nothing of it." in texts
    assert not any(text.startswith("a:") for text in texts)


@pytest.mark.parametrize(
    ("interval", "kind", "said"),
    [
        (
            {"images": 40, "miou": [0.79, 0.84]},
            "note",
            "With 40 other images like these, mIoU may lie between 79.0 and 84.0.",
        ),
        ({"images": 4, "miou": [0.6, 0.84]}, "watch", "With 4 other images like these, mIoU may lie between 60.0 and 84.0."),
        ({"images": 1, "miou": None}, "watch", "The figures rest on a single image: they say little of others."),
    ],
)
def test_how_far_the_figures_would_move(interval, kind, said):
    assert (kind, said) in verdicts(intervals={"segmenter + gate": interval})


def test_where_the_errors_lie():
    near, beyond = {"pixels": 100, "wrong": 40}, {"pixels": 400, "wrong": 10}
    borders = {"segmenter + gate": {"distance": 10.0, "near": near, "beyond": beyond}}
    text = verdicts(borders=borders)[-1][1]
    assert text == (
        "80 % of the wrong pixels lie within 10 px of a true border: 40.0 % of the pixels there are wrong, 2.5 % farther away."
    )
    borders["segmenter + gate"]["near"]["wrong"] = 5
    assert verdicts(borders=borders)[-1][1].startswith("67 % of the wrong pixels lie beyond 10 px")


def test_nothing_scored():
    nothing = scores(np.zeros((2, 3), int))
    assert [k for k, _ in verdicts(record=nothing)] == ["bad"]
