"""The benchmark of how few labels are enough: what is run, and its table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts.core.images import read_image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import label_curve
from label_choices import CHOICES, curve
from label_curve_table import METHOD, curve_figure, summarise


def test_with_all_labels_there_is_nothing_to_choose():
    jobs = label_curve.Study.jobs(None, [0.5, 1.0, 0.1])
    assert [(j["choice"], j["share"]) for j in jobs] == [
        ("random", 0.1), ("suggested", 0.1), ("random", 0.5), ("suggested", 0.5), ("all", 1.0), ("full supervision", 1.0),
    ]  # fmt: skip


def _run(choice, share, seed, miou):
    scores = {METHOD: {"miou": miou, "fwiou": miou / 2}}
    return {"choice": choice, "share": share, "seed": seed, "labels": round(200 * share), "scores": scores}


def test_the_table_has_mean_and_deviation_over_seeds(tmp_path):
    runs = [
        _run("random", 0.1, 0, 0.6),
        _run("random", 0.1, 1, 0.7),
        _run("suggested", 0.1, 0, 0.8),
        _run("all", 1.0, 0, 0.9),
    ]
    table = summarise(runs)
    assert [(r["share"], r["choice"], r["labels"], r["runs"], r["miou"]) for r in table] == [
        (0.1, "random", 20, 2, "65.0 ± 7.1"), (0.1, "suggested", 20, 1, "80.0"), (1.0, "all", 200, 1, "90.0"),
    ]  # fmt: skip
    assert table[0]["fwiou_values"] == [30.0, 35.0]
    curve_figure(table, tmp_path / "curve.png", "drawn")
    assert np.ptp(read_image(tmp_path / "curve.png")) > 200


def test_random_shares_are_one_order_cut_off():
    study = object.__new__(label_curve.Study)
    study.seed, study.entries = 3, list(range(40))
    quarter, half = (study._chosen("random", share) for share in (0.25, 0.5))
    assert half[:10] == quarter and len(set(half)) == 20
    assert study._chosen("all", 1.0) == list(range(40))


def test_suggested_shares_go_on_from_each_other_and_begin_with_all_looks(tmp_path, rng):
    study = object.__new__(label_curve.Study)
    study.seed, study.folder = 0, tmp_path
    study.entries = [{"group": str(k % 4)} for k in range(60)]
    study.features = np.eye(3)[np.arange(60) % 3] * 20 + rng.normal(size=(60, 3))
    few, more, half = (study._chosen("suggested", share) for share in (0.05, 0.1, 0.5))
    assert {k % 3 for k in few} == {0, 1, 2} and len(few) == 3
    assert more[:3] == few and len(set(more)) == 6
    assert len(set(half)) == 30 and json.loads((tmp_path / "suggested" / "0.5.json").read_text()) == half


@pytest.mark.parametrize("name", list(CHOICES))
def test_a_choice_is_of_patches_that_are_not_held_out_and_a_probe_learns_from_it(name, rng):
    labels = (np.arange(240) % 2)[:, None] ^ [[0, 1]]
    features, groups = labels * 3.0 + rng.normal(size=(240, 2)), np.repeat([f"g{k}" for k in range(8)], 30)
    held, chosen = groups == "g0", []

    def noted(of, groups, *rest):
        found = CHOICES[name](of, groups, *rest)
        assert len(set(found)) == rest[0] and "g0" not in groups
        chosen.append(len(found))
        return found

    scores = curve(noted, features, labels, groups, held, 0)
    assert sum(chosen) == 105 and scores[-1] > 0.97 and len(scores) == 4  # half of 210


def test_patches_in_doubt_are_of_those_in_doubt_most(rng):
    doubt = rng.permutation(40)
    chosen = CHOICES["in doubt"](rng.normal(size=(40, 5)), np.array(["g"] * 40), 4, doubt, 0)
    assert len(set(chosen)) == 4 and doubt[chosen].min() >= 28  # of the first twelve


def test_a_share_is_a_dataset_of_its_own(tmp_path):
    study = object.__new__(label_curve.Study)
    study.data = tmp_path / "data"
    names = [f"train/p{k}.png" for k in range(4)]
    for name in (*names, "test/t.png"):
        (study.data / name).parent.mkdir(parents=True, exist_ok=True)
        (study.data / name).write_text(name)
    study.content = {
        "classes": ["a"],
        "training": [{"image": n, "label": [1]} for n in names],
        "test": [{"image": "test/t.png"}],
    }
    study._datalist([2, 0], tmp_path / "some")
    content = json.loads((tmp_path / "some" / "datalist.json").read_text())
    assert [e["image"] for e in content["training"]] == [names[2], names[0]] and content["test"] == study.content["test"]
    assert sorted(p.name for p in (tmp_path / "some").rglob("*.png")) == ["p0.png", "p2.png", "t.png"]
