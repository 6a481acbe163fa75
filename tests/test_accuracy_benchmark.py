from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import accuracy
from fire.parser import DefaultParseValue


def _run(recipe, seed, miou, peak=1.0):
    score = {"miou": miou, "fwiou": miou + 0.1, "iou": {"a": miou, "b": None}}
    return {
        "recipe": recipe, "seed": seed, "scores": {"majority class (a)": score, "segmenter": score},
        "minutes": {"train": 2.0, "evaluate": 1.0}, "peak_gb": peak,
    }  # fmt: skip


def test_means_deviations_and_gaps_by_hand():
    runs = [_run("x", 0, 0.5), _run("x", 1, 0.7, peak=2.0), _run("full", 0, 0.8), _run("full", 2, 0.9)]
    table = accuracy.summarise(runs, "full")
    x = next(r for r in table if r["recipe"] == "x")
    assert x["seeds"] == [0, 1] and x["iou"]["b"] is None and x["minutes"] == 3 and x["peak_gb"] == 2
    assert x["miou"] == pytest.approx([60.0, 200**0.5]) and x["fwiou"][0] == pytest.approx(70.0)
    assert x["gap_miou"] == pytest.approx(30.0)  # of the seed that both have
    assert all(r["method"] == "segmenter" for r in table)
    header, rows = accuracy.layout(table)
    assert rows[0][:4] == ["x: segmenter", "2", "60.0 ± 14.1", "70.0 ± 14.1"] and len(rows[0]) == len(header)
    for r in runs:
        r["scores"]["segmenter + gate"] = {
            **r["scores"]["segmenter"],
            "miou": r["scores"]["segmenter"]["miou"] - 0.1 * r["seed"],
        }
    bare = next(r for r in accuracy.summarise([*runs[:2], _run("y", 1, 0.9)], "x") if r["recipe"] == "y")
    assert bare["gap_miou"] == pytest.approx(-20.0)  # without a gate, to the segmenter without one
    gated = next(r for r in accuracy.summarise(runs[:3], "full") if r["method"] == "segmenter + gate")
    assert gated["gap_miou"] == pytest.approx(30.0) and gated["miou"][0] == pytest.approx(55.0)
    alone = accuracy.summarise(runs[:1], None)[0]
    assert alone["gap_miou"] is None and alone["miou"] == [50.0, None]


def test_a_gap_that_rounds_to_nothing_has_no_sign():
    row = {"recipe": "x", "method": "m", "seeds": [0], "iou": {}, "miou": [50.0, None], "fwiou": [50.0, None]}
    header, ((*_, miou, fwiou, _, _),) = accuracy.layout(
        [{**row, "gap_miou": -0.04, "gap_fwiou": -0.06, "minutes": 1.0, "peak_gb": 1.0}]
    )
    assert header[-4:-2] == ["gap mIoU", "gap FwIoU"] and (miou, fwiou) == ("0.0", "-0.1")


def test_stages_are_shared_between_alike_configurations_alone(tmp_path):
    keys = {stage: accuracy._key(stage, None, {}) for stage in accuracy.OUTPUTS}
    done = tmp_path / "default"
    for stage, outputs in accuracy.OUTPUTS.items():
        for output in outputs:
            path = done / output if "." in output else done / output / "stage.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(stage)
    (done / "run.json").write_text(json.dumps({"finished": True, "peak_gb": 1, "keys": keys}))
    alike, other = tmp_path / "alike", tmp_path / "other"
    accuracy.share(alike, keys)
    assert (alike / "pseudo_masks/stage.json").samefile(done / "pseudo_masks/stage.json")
    assert (alike / "models/classifier.pt").samefile(done / "models/classifier.pt")
    accuracy.share(other, {**keys, "generate_pseudo_masks": accuracy._key("generate_pseudo_masks", "histosegnet", {})})
    assert (other / "train_classifier").is_dir() and not (other / "pseudo_masks").exists()
    # pseudo masks of another classifier are other pseudo masks, whatever their own settings
    third = tmp_path / "third"
    accuracy.share(third, {**keys, "train_classifier": accuracy._key("train_classifier", "sc_cam", {})})
    assert not third.exists()


def test_recipes_share_what_they_should():
    def keys(name):
        recipe, own = accuracy.RECIPES[name]
        return {stage: accuracy._key(stage, recipe, own.get(stage, {})) for stage in accuracy.OUTPUTS}

    plain = keys("grad_cam")
    assert keys("fully_supervised") == plain
    assert keys("histosegnet")["train_classifier"] == plain["train_classifier"]
    assert keys("default, no CutMix, self-training") == keys("default") != plain
    for name in ("histosegnet", "sc_cam", "sshr"):
        assert keys(name)["generate_pseudo_masks"] != plain["generate_pseudo_masks"], name
    for name in ("sc_cam", "sshr"):
        assert keys(name)["train_classifier"] != plain["train_classifier"], name
    assert keys("wsss_tissue, one depth")["train_classifier"] == keys("wsss_tissue")["train_classifier"]


def test_the_settings_of_a_dataset_are_part_of_a_run_and_its_own_win():
    glas, lung = "default, no CutMix, self-training", "default, CutMix, no self-training"
    assert glas in accuracy.duplicates("glas", {}) and lung not in accuracy.duplicates("glas", {})
    assert lung in accuracy.duplicates("wsss4luad", {}) and glas not in accuracy.duplicates("wsss4luad", {})
    assert accuracy.run_key("glas", glas, {}) == accuracy.run_key("glas", "default", {})
    both = {"train": {"cutmix": 0.5, "self_training#weight": 1.0}}
    assert accuracy.run_key("glas", "default", both) == accuracy.run_key("glas", "default, CutMix, self-training", {})
    # what a dataset's settings switch off is off in the compared methods anyway
    off = {"train": {"cutmix": 0.0, "self_training#weight": 0.0}}
    for name in ("histosegnet", "sc_cam", "sshr", "wsss_tissue"):
        assert len({accuracy.run_key(d, name, o) for d in ("glas", "wsss4luad") for o in ({}, off)}) == 2, name


def test_the_table_has_every_finished_run_in_the_recipes_order(tmp_path):
    budget = {"train": {"max_epochs": 3}}
    for seed, recipe, finished, settings in (
        (1, "fully_supervised", True, budget),
        (0, "fully_supervised", True, budget),
        (0, "default", True, budget),
        (0, "sshr", False, budget),
        (2, "default", True, {}),  # of another budget
    ):
        key = accuracy.run_key("glas", recipe, settings)
        folder = accuracy.folder_of(tmp_path, "glas", seed, recipe)
        for stage in accuracy.STAGES:
            (folder / stage).mkdir(parents=True)
            (folder / stage / "stage.json").write_text('{"seconds": 90}')
        (folder / "evaluate/metrics.json").write_text('{"scores": {}}')
        (folder / "run.json").write_text(json.dumps({"finished": finished, "peak_gb": 1.234, "key": key, "commit": "c"}))
    (tmp_path / "glas/0/data").mkdir()
    (tmp_path / "glas/0/default/train/environment.json").write_text('{"gpu": "a GPU"}')
    runs = accuracy.finished_runs(tmp_path, "glas", budget)
    assert [(r["recipe"], r["seed"]) for r in runs] == [("default", 0), ("fully_supervised", 0), ("fully_supervised", 1)]
    assert (
        [r["gpu"] for r in runs] == ["a GPU", None, None]
        and runs[0]["peak_gb"] == 1.23
        and runs[0]["minutes"] == dict.fromkeys(accuracy.STAGES, 1.5)
    )


def test_a_run_that_is_killed_leaves_no_finished_run_of_before(tmp_path, monkeypatch):
    budget = {"train": {"max_epochs": 3}}
    folder = accuracy.folder_of(tmp_path, "glas", 0, "default")
    folder.mkdir(parents=True)
    record = {"finished": True, "peak_gb": 9.0, "keys": {}, "key": "of another budget", "commit": "c"}
    (folder / "run.json").write_text(json.dumps(record))

    def killed(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy.subprocess, "Popen", killed)
    with pytest.raises(KeyboardInterrupt):
        accuracy.run("glas", "nowhere", folder, "default", 0, budget)
    found = json.loads((folder / "run.json").read_text())
    assert not found["finished"] and found["peak_gb"] == 0 and found["key"] == accuracy.run_key("glas", "default", budget)


def test_settings_reach_the_pipeline_as_they_are(tmp_path, monkeypatch):
    """MONAI's command line reads Python: what it makes of the words must be what the benchmark meant."""
    budget = {"prepare": {"scale": 2.0, "patch_size": 224}, "evaluate": {"flips": False, "layers": ["fused"]}}
    seen = []

    def stop(command, **_settings):
        seen.extend(command)
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy.subprocess, "Popen", stop)
    with pytest.raises(KeyboardInterrupt):
        accuracy.run("glas", "nowhere", tmp_path / "run", "default", 0, budget)
    words = dict(zip(seen[4::2], map(DefaultParseValue, seen[5::2]), strict=True))
    assert words["--overrides"]["evaluate"] == {"flips": False, "layers": ["fused"]}
    assert words["--prepare#scale"] == 2.0 and words["--prepare#patch_size"] == 224 and words["--prepare#seed"] == 0
    assert accuracy.run_key("glas", "default", budget) != accuracy.run_key("glas", "default", {**budget, "prepare": {}})


def test_markdown():
    assert accuracy.markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


def test_earlier_runs_count_while_their_configuration_stands(tmp_path):
    budget = {"train": {"max_epochs": 3}}
    key = accuracy.run_key("glas", "default", budget)
    assert key == accuracy.run_key("glas", "default", budget)
    others = [("wsss4luad", "default", budget), ("glas", "sshr", budget), ("glas", "default", {"train": {"max_epochs": 4}})]
    assert len({key, *(accuracy.run_key(*other) for other in others)}) == 4
    path = tmp_path / "record.json"
    assert accuracy.recorded_runs(path, "glas", budget) == []
    rows = [
        {**_run("default", 1, 0.5), "key": key},
        {**_run("default", 2, 0.5), "key": "old"},
        {**_run("gone", 0, 0.5), "key": key},
    ]
    path.write_text(json.dumps({"results": {"runs": rows}}))
    before = accuracy.recorded_runs(path, "glas", budget)
    assert [(r["recipe"], r["seed"]) for r in before] == [("default", 1)]
    merged = accuracy.merge(before, [_run("sshr", 0, 0.1), _run("default", 1, 0.9), _run("default", 0, 0.2)])
    assert [(r["recipe"], r["seed"], r["scores"]["segmenter"]["miou"]) for r in merged] == [
        ("default", 0, 0.2),
        ("default", 1, 0.9),
        ("sshr", 0, 0.1),
    ]


def test_the_budget_sets_the_epochs_of_both_networks_unless_they_are_given():
    found = accuracy.budget(3, {"train": {"epoch_size": 9}, "evaluate": {"overlap": 0.5}})
    assert found == {
        "train_classifier": {"max_epochs": 3}, "train": {"max_epochs": 3, "epoch_size": 9}, "evaluate": {"overlap": 0.5},
    }  # fmt: skip
    assert accuracy.budget(3, {"train": {"max_epochs": 5}})["train"] == {"max_epochs": 5}
