from __future__ import annotations

import json

import pytest
from scripts.evaluation.trainings import kept_epoch, recorded_setting, recorded_trainings, training_histories


def _config(folder, stage, text):
    (folder / stage).mkdir(exist_ok=True)
    (folder / stage / "config.yaml").write_text(text)


def test_settings_are_those_that_ran_or_else_those_of_the_bundle(tmp_path):
    default = {"holdout": 0.1, "seed": 0, "keep": None}
    assert recorded_trainings(tmp_path) == {"train_classifier": default, "train": default}
    _config(tmp_path, "train_classifier", "holdout: 0.25\nseed: 7\nkeep: mean_ap\nmax_epochs: 3\n")
    _config(tmp_path, "train", "[]")
    found = recorded_trainings(tmp_path)
    assert found == {"train_classifier": {"holdout": 0.25, "seed": 7, "keep": "mean_ap"}, "train": default}
    assert recorded_setting(found, "holdout") == 0.25 and recorded_setting(found, "seed") == 7


def test_what_was_recorded_as_an_expression_is_asked_for(tmp_path):
    _config(tmp_path, "train_classifier", "holdout: $0.1 * 2\nseed: -1\n")
    found = recorded_trainings(tmp_path)
    with pytest.raises(ValueError, match=r"train_classifier/config.yaml: holdout: found '\$0.1 \* 2', .*; set holdout, as"):
        recorded_setting(found, "holdout")
    with pytest.raises(ValueError, match=r"seed: found -1, expected a whole number .*; set holdout_seed, as the trainings"):
        recorded_setting(found, "seed")
    _config(tmp_path, "train", "a: [")
    with pytest.raises(ValueError, match=r"train/config.yaml: not readable as YAML"):
        recorded_trainings(tmp_path)


def test_histories_of_trainings_that_left_one(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/history.json").write_text(json.dumps([{"epoch": 1, "train_loss": 0.5}]))
    (tmp_path / "train_classifier").mkdir()
    (tmp_path / "train_classifier/history.json").write_text("[")
    assert training_histories(tmp_path) == {"train": [{"epoch": 1, "train_loss": 0.5}]}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((8, 8, None, False), "epoch 8 of 8 is kept, the last one (keep: null), as the few images that validate say little"),
        ((3, 8, "miou", False), "epoch 3 of 8 is kept, that of the highest agreement, by class (keep: miou)"),
        ((3, 8, "miou", True), "epoch 3 of 8 is kept, that of the highest mIoU (keep: miou)"),
        ((3, 8, "mean_ap", False), "epoch 3 of 8 is kept, that of the highest mean AP (keep: mean_ap)"),
        ((3, 0, "my_score", False), "epoch 3 is kept"),
        ((None, 8, None, False), "its weights do not say which epoch they are of"),
    ],
)
def test_which_epoch_is_kept_and_why(settings, says):
    """Only where true masks stand behind it is a score of the segmenter called mIoU."""
    assert kept_epoch("segmenter", *settings) == f"segmenter: {says}"
