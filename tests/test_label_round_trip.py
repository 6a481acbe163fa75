"""Label, train, ask what to label next, label, train: on drawn tissue, by keys in a real browser that is killed meanwhile."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from browsers import find_browser
from label_browser import ARGS, kept, kill_browser, opened, press
from monai.bundle import ConfigWorkflow
from playwright.sync_api import sync_playwright
from scripts import BUNDLE_ROOT
from scripts.core.images import read_image, read_mask
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset

CONFIGS = Path(BUNDLE_ROOT) / "configs"
SIDE = 48
TINY = {
    "train_classifier": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#layers": ["a", "b", "c"], "max_epochs": 2, "batch_size": 4,
    },
    "generate_pseudo_masks": {
        "layers": ["a", "b", "c"], "consensus": [1.0, 1.0, 1.0, 1.0],
        "masker#refinement#weights": {"b": 0.5, "c": 0.5}, "masker#refinement#features": ["a"],
    },
    "train": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#high_layer": "c", "network_def#low_layer": "b",
        "network_def#channels": 8, "max_epochs": 2, "batch_size": 4,
    },
}  # fmt: skip


def _run(name, **overrides):
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / name), workflow_type=None, logging_file=False, progress=False, **overrides
    )
    workflow.initialize()
    workflow.run()


def _truth(tissue, patch):
    """Marks of a patch as a person would give them: classes that fill more than a twentieth of it."""
    mask = read_mask(tissue / "mask" / Path(patch["source"]).name, DEMO_FACTS.num_classes)
    y, x = patch["position"]
    part = mask[y : y + SIDE, x : x + SIDE]
    return [int((part == k).mean() > 0.05) for k in range(DEMO_FACTS.num_classes)]


def _by_keys(folder, answers, work):
    """Press the keys of the answers, ``None`` for cannot tell; the browser is killed after the half. The exported table."""
    profile = work / "profile"
    keys = ["x" if a is None else "".join(str(k + 1) for k, mark in enumerate(a) if mark) or "0" for a in answers]
    half = len(keys) // 2
    with sync_playwright() as play:
        for part, first in ((keys[:half], True), (keys[half:], False)):
            context = play.chromium.launch_persistent_context(str(profile), executable_path=find_browser(), args=ARGS)
            page = opened(context, (folder / "label.html").as_uri(), "ada" if first else None)
            for k in part:
                press(page, *k, *([] if k in "0x" else ["Enter"]))
            kept(page)
            if first:
                kill_browser(profile)
                continue
            with page.expect_download() as download:
                page.click("[data-command=export]")
            download.value.save_as(folder / "labels.csv")
            context.close()


def _table(folder, answers, patches):
    """The same table, written."""
    head = ["image", "group", "position_y", "position_x", "seconds", "annotator", "cannot_tell", "again", "again_seconds"]
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*head, *DEMO_FACTS.classes])
        for patch, answer in zip(patches, answers, strict=True):
            rows.writerow([patch["image"], patch["group"], *patch["position"], 2.0, "ada", 0, "", "", *answer])


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two rounds, and what was said in them."""
    work = tmp_path_factory.mktemp("story")
    tissue = (
        write_demo_dataset(work / "raw", num_train=2, num_val=1, num_test=4, patch_size=SIDE, image_size=144, progress=False)
        / "test"
    )
    labels, places = work / "labels", {"dataset_dir": str(work / "set"), "output_dir": str(work / "run")}
    places["model_dir"] = str(work / "run" / "models")
    train = {
        **places, "source": str(labels), "overrides": TINY,
        "prepare": {"layout": "labelled", "overwrite": True, "val_fraction": 0.3},
    }  # fmt: skip
    found = {"work": work, "tissue": tissue}
    _run("label.yaml", source=str(tissue / "img"), label_dir=str(labels), count=12, patch_size=[SIDE, SIDE], repeat=0, group=r"test(.+)\.png",
         dataset={"classes": list(DEMO_FACTS.classes), "palette": [list(c) for c in DEMO_FACTS.palette], "white_background": True})  # fmt: skip
    one = json.loads((labels / "round_1" / "patches.json").read_text())["patches"]
    found["one"] = one
    found["answers"] = [None if k == 3 else _truth(tissue, patch) for k, patch in enumerate(one)]
    _by_keys(labels / "round_1", found["answers"], work)
    _run("pipeline.yaml", **train)
    found["first"] = json.loads((work / "set" / "datalist.json").read_text())
    _run("suggest.yaml", source=str(tissue / "img"), label_dir=str(labels), model_dir=places["model_dir"], count=8, repeat=0, group=r"test(.+)\.png",
         dataset_dir=places["dataset_dir"])  # fmt: skip
    two = json.loads((labels / "round_2" / "patches.json").read_text())["patches"]
    found["two"] = two
    _table(labels / "round_2", [_truth(tissue, patch) for patch in two], two)
    _run("pipeline.yaml", **train)
    found["second"] = json.loads((work / "set" / "datalist.json").read_text())
    return found


def _entries(content):
    return content["training"] + content["validation"]


def test_the_table_is_what_was_pressed_though_the_browser_was_killed(story):
    rows = list(csv.DictReader((story["work"] / "labels/round_1/labels.csv").open(encoding="utf-8-sig")))
    assert [row["image"] for row in rows] == [patch["image"] for patch in story["one"]] and len(rows) == 12
    for row, answer in zip(rows, story["answers"], strict=True):
        marks = [row[name] for name in DEMO_FACTS.classes]
        assert marks == ([""] * len(marks) if answer is None else [str(mark) for mark in answer])
        assert row["cannot_tell"] == str(int(answer is None)) and row["annotator"] == "ada"
        assert 0 <= float(row["seconds"]) < 60


def test_what_was_pressed_is_what_trains(story):
    expected = sorted(a for a in story["answers"] if a is not None and any(a))
    assert sorted(e["label"] for e in _entries(story["first"])) == expected
    assert story["first"]["classes"] == list(DEMO_FACTS.classes) and story["first"]["white_background"]
    assert story["first"]["palette"] == [list(c) for c in DEMO_FACTS.palette]
    held = {e["group"] for e in story["first"]["validation"]}
    assert held and not held & {e["group"] for e in story["first"]["training"]}


def test_the_second_round_is_of_other_patches_and_has_the_models_opinion(story):
    pixels = [
        {read_image(story["work"] / "labels" / f"round_{n}" / p["image"]).tobytes() for p in story[key]}
        for n, key in ((1, "one"), (2, "two"))
    ]
    assert len(pixels[0]) == 12 and len(pixels[1]) == len(story["two"]) > 0 and not pixels[0] & pixels[1]
    for patch in story["two"]:
        assert len(patch["opinion"]) == DEMO_FACTS.num_classes and all(0 <= p <= 1 for p in patch["opinion"])
    page = (story["work"] / "labels/round_2/suggest.html").read_text()
    assert "What to label next" in page and "fewer than 16 labels" in page
    assert f"--dataset_dir {story['work']}/set --output_dir {story['work']}/run" in page  # the training is gone on with


def test_both_rounds_train_in_the_end(story):
    both = [a for a in story["answers"] if a is not None] + [_truth(story["tissue"], patch) for patch in story["two"]]
    assert sorted(e["label"] for e in _entries(story["second"])) == sorted(a for a in both if any(a))
    stage = json.loads((story["work"] / "run/report/stage.json").read_text())
    assert stage["state"] == "finished"
    weights = json.loads((story["work"] / "run/models/model.json").read_text())
    assert weights["dataset"]["classes"] == list(DEMO_FACTS.classes)


def test_positions_are_those_in_the_images(story):
    image = {p["source"]: read_image(story["tissue"] / "img" / Path(p["source"]).name) for p in story["one"]}
    for patch in story["one"]:
        y, x = patch["position"]
        assert np.array_equal(
            read_image(story["work"] / "labels/round_1" / patch["image"]), image[patch["source"]][y : y + SIDE, x : x + SIDE]
        )
