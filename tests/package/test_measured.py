from __future__ import annotations

import json
import logging

import pytest
from packed import write_real_models
from scripts.package.measured import measured
from scripts.weights.description import read_description

SCORES = {"miou": 0.4, "fwiou": 0.6, "iou": {"TUM": 0.25, "STR": None}, "pixels": {"TUM": 9}, "confusion": [[1]]}


@pytest.fixture
def trained(tmp_path):
    models = write_real_models(tmp_path / "run/models")
    return [read_description(models / f"{name}.pt") for name in ("model", "classifier")]


def _metrics(path, trained, **changes):
    weights = {"segmenter": trained[0].sha256, "classifier": trained[1].sha256}
    on = {"dataset": "other set", "section": "test", "images": 7, "weights": weights}
    content = {
        "method": "segmenter + gate", "measured_on": on, "scores": {"segmenter + gate": SCORES},
        "intervals": {"segmenter + gate": {"images": 7, "level": 0.95, "miou": [0.3, 0.5]}},
    }  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_scores_of_training_are_told_as_such_and_choices_are_no_figures(trained, tmp_path):
    found = measured(*trained, None, tmp_path / "run")
    assert [(m.name, dict(m.figures)) for m in found] == [
        ("validation", {"miou": 0.5}), ("classifier_validation", {"mean_ap": 0.75}),
    ]  # fmt: skip
    truth = "images, against true masks, or pseudo masks where there were none"
    assert found[0].on == f"held-out part of little set: {truth}; after epoch 3"
    assert found[1].on == "held-out part of little set: patches, against their labels; after epoch 2"
    assert [m.of for m in found] == ["segmenter by itself", "classifier by itself"]


@pytest.mark.parametrize("given", [True, False])
def test_scores_of_an_evaluation_of_these_weights(trained, tmp_path, given):
    path = _metrics(tmp_path / ("else.json" if given else "run/evaluate/metrics.json"), trained)
    test = measured(*trained, path if given else None, tmp_path / "run")[0]
    assert (test.name, test.of) == ("test", "segmenter + gate")
    assert test.on == "test section of other set: 7 images with true masks"
    assert test.figures == {"miou": 0.4, "fwiou": 0.6, "iou": {"TUM": 0.25}}
    assert test.intervals == {"miou": (0.3, 0.5)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured_on": {"dataset": "s", "section": "test", "images": 1, "weights": {}}}, "measured with other weights"),
        ({"measured_on": None}, "does not say what it measured"),
        ({"scores": {}}, "does not say what it measured"),
    ],
)
def test_scores_of_other_weights_are_refused_or_left_out(trained, tmp_path, caplog, changes, message):
    path = _metrics(tmp_path / "run/evaluate/metrics.json", trained, **changes)
    with pytest.raises(ValueError, match=message):
        measured(*trained, path, tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        assert [m.name for m in measured(*trained, None, tmp_path / "run")] == ["validation", "classifier_validation"]
    assert message in caplog.text and str(path) in caplog.text


def test_a_file_that_is_not_there_or_no_json(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics: no such file: .*none\.json"):
        measured(*trained, tmp_path / "none.json", tmp_path)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: does not say what it measured"):
        measured(*trained, tmp_path / "bad.json", tmp_path)
