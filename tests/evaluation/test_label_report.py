from __future__ import annotations

import copy
import re

import numpy as np
from scripts.core.facts import DatasetFacts
from scripts.evaluation.label_report import LabelReport, write_label_report
from scripts.pages import Case, LayeredImage, Verdict

FACTS = DatasetFacts(classes=("a<b", "c"), name="<set>", white_background=True)
ROWS = [{"threshold": t, "tp": 1, "fp": 2, "fn": 3, "tn": 4} for t in (0.1, 0.3, 0.5, 0.7)]
TRAINED = {"holdout": 0.1, "seed": 0, "keep": "miou", "epoch": 2}
FIGURES = {
    "labels": {
        "patches": 9, "groups": None, "together": [[5, 1], [1, 0]],
        "classes": {"a<b": {"patches": 5, "share": 0.5, "alone": 4, "groups": None}, "c": {"patches": 0, "share": 0.0, "alone": 0, "groups": None}},
    },
    "classifier": {
        "patches": 10, "mean_ap": None,
        "classes": {"a<b": {"gate_threshold": 0.1, "ap": 0.625, "positives": 4, "prevalence": 0.4, "thresholds": ROWS}, "c": {"gate_threshold": 0.1, "ap": None, "positives": 0, "prevalence": 0.0, "thresholds": ROWS}},
    },
    "depths": {"layers": ["x", "<y>"], "patches": 3, "tissue": 0.75, "classes": {"a<b": 0.5, "c": None}, "pairs": {"x/<y>": {"a<b": 0.5, "c": None}}},
    "segmenter": {"patches": 10, "threshold": 0.02, "classes": {n: {"named": 4, "named_filled": 3, "unnamed": 0, "unnamed_filled": 0} for n in FACTS.classes}},
    "trainings": {"train_classifier": {**TRAINED, "keep": None}, "train": TRAINED},
    "dataset_check": [{"severity": "warning", "kind": "k<", "file": "<f>", "found": "<x>", "expected": "y"}],
    "apart": True, "truth": False,
}  # fmt: skip
HISTORY = [{"epoch": e, "train_loss": 1 / e, "val_miou": 0.5, "val_fwiou": 0.6} for e in (1, 2)]


def _report(figures=FIGURES, **changes):
    picture = np.zeros((30, 30, 3), np.uint8)
    settings = {
        "histories": {"train": HISTORY},
        "verdicts": [Verdict("bad", "<b>bad</b>")],
        "pseudo_masks": [Case("<p>", None, [], "note <", [("x", picture)])],
        "unnamed": [LayeredImage("<q>", picture, np.zeros((30, 30), np.uint8))],
        "command": "python <run>",
    }
    return LabelReport(FACTS, figures, **{**settings, **changes})


def _text(tmp_path, report):
    return write_label_report(tmp_path / "r.html", report).read_text()


def test_every_text_is_escaped_and_every_part_is_there(tmp_path):
    text = _text(tmp_path, _report())
    assert not re.search(r"<(set|b>bad|f>|x>|y>|p>|q>|run>)", text) and "k&lt;" in text and "x/&lt;y&gt;" in text
    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Training curves", "Classifier on held-out patches", "Labels of the training patches", "Check of the dataset",
        "Pseudo masks, depth by depth", "Agreement of depths", "Segmenter on held-out patches", "Next",
    ]  # fmt: skip
    assert "<td>0.625</td>" in text or '<td data-value="0.625">0.625</td>' in text
    assert (
        '<td data-value="-1">–</td>' in text and "0.1 (gate)" in text and "<td>1</td><td>2</td><td>3</td><td>4</td>" in text
    )
    assert "classifier: epoch 2 is kept" in text and "python &lt;run&gt;" in text
    assert 'type="checkbox" data-class="0"' in text  # the legend switches classes
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_agreement_is_not_called_a_score_of_truth_unless_true_masks_stand_behind_it(tmp_path):
    text = _text(tmp_path, _report())
    assert not re.search(r"\bm?IoU\b", text) and "agreement, by class" in text and "not with a truth" in text
    text = _text(tmp_path, _report({**FIGURES, "truth": True}))
    assert "mIoU" in text and "agreement, by class" not in text and "of validation images" in text


def test_patches_that_train_are_called_so(tmp_path):
    text = _text(tmp_path, _report({**FIGURES, "apart": False}))
    assert "Classifier on patches that train" in text and "<dt>Held out</dt><dd>nothing</dd>" in text
    assert "held-out patches" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_what_is_not_at_hand_is_said(tmp_path):
    figures = copy.deepcopy({**FIGURES, "depths": None, "dataset_check": None})
    text = _text(tmp_path, _report(figures, histories={}, pseudo_masks=(), unnamed=(), command="", verdicts=()))
    assert "There are no pseudo masks of two depths or more" in text and "Not at hand" in text
    assert "Pseudo masks, depth by depth" not in text and "<h2>Next" not in text and "checkbox" not in text
    figures.update(dataset_check=[], depths={**FIGURES["depths"], "patches": 0})
    text = _text(tmp_path, _report(figures))
    assert "No fault found." in text and "No patch names several tissues" in text
