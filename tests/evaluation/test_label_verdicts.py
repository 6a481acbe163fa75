from __future__ import annotations

import copy

from scripts.evaluation import label_rules
from scripts.evaluation.label_verdicts import spoken, verdicts
from scripts.pages import Verdict

ROWS = [{"threshold": t, "tp": 9, "fp": 0, "fn": 1, "tn": 30} for t in (0.1, 0.3, 0.5, 0.7)]
CLASS = {"patches": 40, "share": 0.4, "alone": 20, "groups": 4}
FOUND = {"gate_threshold": 0.1, "ap": 0.95, "positives": 10, "prevalence": 0.25, "thresholds": ROWS}
FILLED = {"named": 10, "named_filled": 9, "unnamed": 30, "unnamed_filled": 1}
TRAINED = {"holdout": 0.1, "seed": 0, "keep": None, "epoch": 8}
FIGURES = {
    "labels": {"patches": 100, "groups": 5, "classes": {"a": {**CLASS}, "b": {**CLASS}}, "together": [[40, 20], [20, 40]]},
    "classifier": {"patches": 40, "mean_ap": 0.95, "classes": {"a": {**FOUND}, "b": {**FOUND}}},
    "depths": {"layers": ["x", "y"], "patches": 20, "tissue": 0.9, "classes": {"a": 0.9, "b": 0.8}, "pairs": {}},
    "segmenter": {"patches": 40, "threshold": 0.02, "classes": {"a": {**FILLED}, "b": {**FILLED}}},
    "trainings": {"train_classifier": TRAINED, "train": TRAINED},
    "dataset_check": [],
    "apart": True,
    "truth": False,
}


def test_a_good_run_is_told_in_three_sentences():
    assert [(v.kind, v.text.split(",")[0].split(" (")[0]) for v in verdicts(FIGURES)] == [
        ("good", "the classifier finds every tissue in held-out patches"),
        ("good", "the depths agree on 90 % of tissue"),
        ("note", "no true mask stands behind these figures: they do not say how exact the outlines are"),
    ]


def test_what_is_bad_comes_first_and_every_rule_is_asked(monkeypatch):
    asked = set()
    for name in [n for n in label_rules.__all__ if n.islower()]:
        rule = getattr(label_rules, name)
        monkeypatch.setattr(label_rules, name, lambda *a, n=name, r=rule: (asked.add(n), r(*a))[1])
    verdicts(FIGURES)
    assert asked == {n for n in label_rules.__all__ if n.islower()}
    figures = copy.deepcopy(FIGURES)
    figures["labels"]["classes"]["b"]["patches"] = 8
    figures["classifier"]["classes"]["b"]["ap"] = 0.26
    figures["segmenter"]["classes"]["a"]["unnamed_filled"] = 20
    found = verdicts(figures)
    assert [v.kind for v in found] == ["bad", "watch", "watch", "good", "note"]
    assert "finds b in held-out patches hardly better than by chance" in found[0].text and "b rests on 8" in found[1].text


def test_figures_of_patches_that_train_are_not_called_held_out_or_good():
    found = verdicts({**FIGURES, "apart": False})
    assert found[0].kind == "bad" and found[0].text.startswith("nothing is held out: ")
    assert not any("held-out" in v.text or "finds every" in v.text for v in found)


def test_a_class_that_every_patch_names_is_no_pair_with_another():
    figures = copy.deepcopy(FIGURES)
    figures["labels"]["classes"]["a"]["patches"] = 100
    figures["labels"]["together"] = [[100, 40], [40, 40]]
    texts = [v.text for v in verdicts(figures)]
    assert any(t.startswith("every training patch names a") for t in texts) and not any("never named" in t for t in texts)


def test_without_pseudo_masks_nothing_is_said_of_depths():
    assert not any("depths" in v.text for v in verdicts({**FIGURES, "depths": None}))


def test_verdicts_are_spoken_a_line_each():
    said = [Verdict("bad", "one"), {"kind": "watch", "text": "two"}, Verdict("good", "three"), Verdict("note", "four")]
    assert spoken(said).splitlines() == ["bad   one", "look  two", "good  three", "note  four"]
