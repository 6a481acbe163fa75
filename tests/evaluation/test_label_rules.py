"""Each rule on cases whose answer is known; ``None``: there is nothing to say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from scripts.evaluation import label_rules as rules

HELD = "held-out patches"
SAME = {"holdout": 0.1, "seed": 0, "keep": None, "epoch": 8}
CASES = [
    (rules.few_patches("stroma", 8), "watch", "stroma rests on 8 patches; label more of it"),
    (rules.few_patches("stroma", 1), "bad", "stroma rests on 1 patch; label more of it"),
    (rules.few_patches("stroma", 20), None, ""),
    (rules.one_group("fat", 9, 1, 3), "watch", "all 9 patches that name fat are of one group (slide, region); label it in others"),
    (rules.one_group("fat", 9, 1, 1), None, ""),
    (rules.one_group("fat", 9, 2, 3), None, ""),
    (rules.one_group("fat", 1, 1, 3), None, ""),
    (rules.one_group("fat", 9, None, None), None, ""),
    (rules.always_named("fat", 9, 9), "bad", "every training patch names fat: nothing shows what lacks it; add patches without it"),
    (rules.always_named("fat", 8, 9), None, ""),
    (rules.together("a", "b", 4, 4, 4), "bad", "a and b are always named together: nothing tells them apart; add patches of one"),
    (rules.together("a", "b", 4, 3, 3), "watch", "b is never named without a: little tells them apart; add patches of it alone"),
    (rules.together("a", "b", 3, 4, 3), "watch", "a is never named without b: little tells them apart; add patches of it alone"),
    (rules.together("a", "b", 4, 4, 3), None, ""),
    (rules.together("a", "b", 4, 0, 0), None, ""),
    (rules.nothing_held_out(False), "bad", "nothing is held out: all figures are of patches that train, and say nothing of others; give patches of two or more groups (slides, regions) and holdout above 0, or a validation section"),
    (rules.nothing_held_out(True), None, ""),
    (rules.held_out_differ({"train_classifier": SAME, "train": {**SAME, "keep": "miou", "epoch": 2}}), None, ""),
    (rules.held_out_differ({"train_classifier": SAME, "train": {**SAME, "holdout": 0.2}}), "watch", "the two trainings have held out different patches: the segmenter may know some of these"),
    (rules.few_held_out("fat", 0, 9, True), "watch", "no held-out patch names fat: nothing tells how well it is found"),
    (rules.few_held_out("fat", 1, 9, True), "note", "1 held-out patch names fat: its figures say little"),
    (rules.few_held_out("fat", 4, 9, True), "note", "4 held-out patches name fat: its figures say little"),
    (rules.few_held_out("fat", 9, 9, True), "watch", "every held-out patch names fat: nothing tells whether it is found where it is not"),
    (rules.few_held_out("fat", 5, 9, True), None, ""),
    (rules.few_held_out("fat", 0, 9, False), None, ""),
    (rules.near_chance("necrosis", 0.21, 8, 40, HELD), "bad", "the classifier finds necrosis in held-out patches hardly better than by chance (AP 0.21 at a prevalence of 0.2)"),
    (rules.near_chance("necrosis", 0.21, 2, 10, HELD), "watch", "the classifier finds necrosis in held-out patches hardly better than by chance (AP 0.21 at a prevalence of 0.2)"),
    (rules.near_chance("necrosis", 0.5, 8, 40, HELD), "watch", "the classifier often misses necrosis in held-out patches, or takes other tissue for it (AP 0.50 at a prevalence of 0.2)"),
    (rules.near_chance("necrosis", 0.5, 2, 10, HELD), None, ""),
    (rules.near_chance("necrosis", 0.7, 8, 40, HELD), None, ""),
    (rules.near_chance("necrosis", None, 0, 40, HELD), None, ""),
    (rules.near_chance("necrosis", 1.0, 40, 40, HELD), None, ""),
    (rules.all_found({"a": {"ap": 0.9, "prevalence": 0.5, "positives": 5}, "b": {"ap": 0.8, "prevalence": 0.5, "positives": 5}}, HELD), "good", "the classifier finds every tissue in held-out patches (lowest AP 0.80, of b)"),
    (rules.all_found({"a": {"ap": 0.9, "prevalence": 0.5, "positives": 4}}, HELD), None, ""),
    (rules.all_found({"a": {"ap": 0.7, "prevalence": 0.5, "positives": 5}}, HELD), None, ""),
    (rules.all_found({"a": {"ap": 1.0, "prevalence": 1.0, "positives": 5}}, HELD), None, ""),
    (rules.gated_away("fat", 0.1, 5, 4, HELD), "watch", "the gate (0.1) takes fat from 4 of 9 held-out patches that name it"),
    (rules.gated_away("fat", 0.1, 9, 1, HELD), None, ""),
    (rules.gated_away("fat", 0.1, 0, 2, HELD), None, ""),
    (rules.depths_agree(0.81, 30), "good", "the depths agree on 81 % of tissue, in 30 patches whose label names several"),
    (rules.depths_agree(0.7, 30), "note", "the depths agree on 70 % of tissue, in 30 patches whose label names several"),
    (rules.depths_agree(0.44, 1), "watch", "the depths agree on 44 % of tissue, in 1 patch whose label names several"),
    (rules.depths_agree(None, 0), None, ""),
    (rules.classes_disputed({"a": 0.31, "b": 0.5, "c": None, "d": 0.0}), "watch", "the depths agree on less than 50 % of what any of them takes for a (31 %), d (0 %); look at it"),
    (rules.classes_disputed({"a": 0.5}), None, ""),
    (rules.unnamed_tissue("fat", 12, 40, 0.02, HELD), "watch", "the segmenter fills more than 2 % with fat in 12 of 40 held-out patches that do not name it: the labels have missed it, or the segmenter is wrong"),
    (rules.unnamed_tissue("fat", 4, 40, 0.02, HELD), None, ""),
    (rules.unnamed_tissue("fat", 2, 3, 0.02, HELD), None, ""),
    (rules.tissue_not_shown("fat", 4, 9, 0.05, HELD), "watch", "the segmenter shows fat on 5 % or less of 5 of 9 held-out patches that name it"),
    (rules.tissue_not_shown("fat", 3, 4, 0.05, HELD), None, ""),
    (rules.tissue_not_shown("fat", 0, 2, 0.05, HELD), None, ""),
    (rules.check_warnings([{"kind": "white background"}, {"kind": "empty section"}]), "watch", "the check of the dataset has 1 warning (dataset_check.txt)"),
    (rules.check_warnings([{"kind": "x"}, {"kind": "y"}]), "watch", "the check of the dataset has 2 warnings (dataset_check.txt)"),
    (rules.check_warnings([{"kind": "empty section"}]), None, ""),
    (rules.check_warnings([]), None, ""),
    (rules.check_warnings(None), None, ""),
    (rules.without_truth(False), "note", "no true mask stands behind these figures: they do not say how exact the outlines are"),
    (rules.without_truth(True), "note", "true masks stand behind the segmenter's validation scores, and behind no other figure here"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "kind", "text"), CASES)
def test_a_rule_says_what_is_known_to_be_so(found, kind, text):
    assert found is None if kind is None else (found.kind, found.text) == (kind, text)


def test_every_rule_is_tested():
    public = {name for name in rules.__all__ if name.islower()}
    calls = [node.func for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.Call)]
    assert {call.attr for call in calls if getattr(getattr(call, "value", None), "id", "") == "rules"} == public
