from __future__ import annotations

import json
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from ignite.engine import Engine
from scripts.core.metrics import ConfusionMatrix, TissueScores, classification_scores


def test_hand_computed():
    """Truth 0 0 0 1 1 and a white pixel; prediction 0 1 white 1 0, and anything on white."""
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([0, 1, 2, 1, 0, 1]), np.array([0, 0, 0, 1, 1, 2]))
    assert matrix.matrix.tolist() == [[1, 1, 1], [1, 1, 0]]
    scores = matrix.scores(["a", "b"])
    assert scores["iou"] == pytest.approx({"a": 1 / 4, "b": 1 / 3})
    assert scores["miou"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert scores["fwiou"] == pytest.approx(3 / 5 * 1 / 4 + 2 / 5 * 1 / 3)
    assert scores["pixel_accuracy"] == pytest.approx(2 / 5)
    assert scores["accuracy"] == pytest.approx({"a": 1 / 3, "b": 1 / 2})
    assert scores["mean_accuracy"] == pytest.approx(5 / 12)
    assert scores["f1"] == pytest.approx({"a": 2 / 5, "b": 1 / 2})
    assert scores["pixels"] == {"a": 3, "b": 2}
    json.dumps(scores)


def test_absent_and_false_classes():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([0, 1]), np.array([0, 0]))
    scores = matrix.scores("abc")
    assert scores["iou"] == {"a": 0.5, "b": 0.0, "c": None} and scores["miou"] == 0.25
    assert ConfusionMatrix(2).scores("ab")["miou"] is None


def test_values_outside_the_classes():
    """A negative prediction is a miss like white background; a negative truth counts nowhere."""
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([-1, 255, 0, 1]), np.array([1, 0, -1, 255]))
    assert matrix.matrix.tolist() == [[0, 0, 1], [0, 0, 1]]


def test_constant_guess():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([1, 1, 1, 0]), np.array([0, 0, 0, 1]))
    assert ConfusionMatrix.constant(matrix, 0).scores("ab")["iou"] == {"a": 0.75, "b": 0.0}


maps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(maps, maps)
def test_sum_equals_joint(first, second):
    parts, joint = [], ConfusionMatrix(3)
    for pairs in (first, second):
        prediction, truth = np.array(pairs).T
        part = ConfusionMatrix(3)
        part.update(prediction, truth)
        joint.update(torch.from_numpy(prediction), torch.from_numpy(truth))
        parts.append(part)
    assert ((parts[0] + parts[1]).matrix == joint.matrix).all()


@given(maps, st.permutations([0, 1, 2]))
def test_renaming_classes_permutes_scores(pairs, order):
    prediction, truth = np.array(pairs).T
    rename = np.array([*order, 3])
    one, other = ConfusionMatrix(3), ConfusionMatrix(3)
    one.update(prediction, truth)
    other.update(rename[prediction], rename[truth])
    a, b = one.scores("abc"), other.scores([("abc")[order.index(k)] for k in range(3)])
    assert a["iou"] == pytest.approx(b["iou"]) and a["miou"] == pytest.approx(b["miou"])


def test_shapes():
    with pytest.raises(ValueError, match="shape"):
        ConfusionMatrix(2).update(np.zeros((2, 2)), np.zeros((2, 3)))


def test_as_ignite_metric():
    engine = Engine(lambda _e, batch: batch)
    TissueScores(2).attach(engine, "miou")
    batches = [([torch.tensor([[0, 1]])], [torch.tensor([[0, 0]])]), ([torch.tensor([[1]])], [torch.tensor([[1]])])]
    state = engine.run(batches)
    assert state.metrics["miou"] == pytest.approx(0.5)  # a 1/2, b 1/2
    assert state.metrics["pixel_accuracy"] == pytest.approx(2 / 3)


def _worker(rank, port, folder):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    engine = Engine(lambda _e, batch: batch)
    metric = TissueScores(2)
    metric.attach(engine, "miou")
    # rank 0 sees truth 0 0 predicted 0 1, rank 1 truth 1 predicted 1: only both together give 1/2
    share = ([torch.tensor([0, 1])], [torch.tensor([0, 0])]) if rank == 0 else ([torch.tensor([1])], [torch.tensor([1])])
    for _ in range(2):  # a second run starts from nothing
        state = engine.run([share])
    (folder / f"{rank}.json").write_text(json.dumps([state.metrics["miou"], metric.confusion.matrix.tolist()]))
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without distributed")
def test_as_ignite_metric_in_two_processes(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_worker, (port, tmp_path), nprocs=2)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [0.5, [[1, 1, 0], [0, 1, 0]]]


def test_published_evaluator(parity):
    arrays = np.load(parity / "metrics_input.npz")
    expected = json.loads((parity / "metrics.json").read_text())
    matrix = ConfusionMatrix(4)
    matrix.update(arrays["prediction"], arrays["ground_truth"])
    scores = matrix.scores(list("abcd"))
    for ours, theirs in {"miou": "mean_iou", "fwiou": "fw_iou"}.items():
        assert scores[ours] == pytest.approx(expected[theirs], abs=1e-9)
    for key in ("pixel_accuracy", "mean_accuracy"):
        assert scores[key] == pytest.approx(expected[key], abs=1e-9)
    assert list(scores["iou"].values()) == pytest.approx(expected["iou"], abs=1e-9)
    assert matrix.matrix[:, :4].tolist() == expected["confusion"]


def test_classification_hand_computed():
    """Class a ranks its positives 1st and 3rd: AP = 1 * 1/2 + 2/3 * 1/2; class c has no positive."""
    probability = np.array([[0.9, 0.8, 0.1], [0.7, 0.1, 0.2], [0.6, 0.2, 0.1]])
    labels = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    scores = classification_scores(probability, labels, "abc")
    assert scores["ap"]["a"] == pytest.approx(5 / 6) and scores["ap"]["b"] == 1.0 and scores["ap"]["c"] is None
    assert scores["mean_ap"] == pytest.approx((5 / 6 + 1) / 2)
    assert scores["f1"]["a"] == pytest.approx(4 / 5) and scores["macro_f1"] == pytest.approx(0.9)
    assert scores["exact_match"] == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_its_definition(pairs):
    """Sum over the thresholds, from high to low, of (gain in recall) * precision."""
    probability, label = np.array([p / 4 for p, _ in pairs]), np.array([t for _, t in pairs])
    expected, recall_before = 0.0, 0.0
    for threshold in sorted(set(probability), reverse=True):
        found = probability >= threshold
        recall = (label & found).sum() / max(1, label.sum())
        expected += (recall - recall_before) * (label & found).sum() / found.sum()
        recall_before = recall
    ap = classification_scores(probability[:, None], label[:, None], "a")["ap"]["a"]
    assert ap == (pytest.approx(expected) if label.any() else None)


def test_ties_are_taken_together():
    scores = classification_scores(np.array([[0.5], [0.5]]), np.array([[1], [0]]), "a")
    assert scores["ap"]["a"] == 0.5
