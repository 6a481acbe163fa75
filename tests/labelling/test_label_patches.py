"""From unlabelled tissue to a page."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from lock_holder import hold_lock
from scripts.core.image_writers import write_image
from scripts.core.images import read_image
from scripts.labelling.label_patches import facts_to_label, label_patches
from scripts.labelling.round_request import RoundRequest
from tiny import TinyExtractor


@pytest.fixture
def tissue(tmp_path, rng):
    for k in range(10):
        base = np.kron(rng.integers(60, 190, (4, 4, 3)), np.ones((8, 8, 1)))
        write_image(tmp_path / "tissue" / f"s{k // 5}" / f"p{k}.png", base.astype(np.uint8))
    return tmp_path / "tissue"


def _label(tissue, folder, **more):
    facts = facts_to_label({}, ["tumour", "stroma"], [32, 32])
    torch.manual_seed(0)  # of the extractor's weights
    settings = more.pop("settings", None)
    return label_patches(RoundRequest(tissue, folder, progress=False, **more), facts, TinyExtractor(), settings)


def _pixels(page):
    patches = json.loads((page.parent / "patches.json").read_text())["patches"]
    return {read_image(page.parent / patch["image"]).tobytes() for patch in patches}


def test_the_next_round_is_of_other_patches(tmp_path, tissue):
    one, two = _label(tissue, tmp_path / "labels", count=4), _label(tissue, tmp_path / "labels", count=4)
    assert (one.parent.name, two.parent.name) == ("round_1", "round_2")
    assert len(_pixels(one)) == 4 and not _pixels(one) & _pixels(two)


def test_the_same_seed_gives_the_same_round(tmp_path, tissue):
    pages = [_label(tissue, tmp_path / name, count=5, seed=seed) for name, seed in (("a", 1), ("b", 1))]
    one, two = (page.read_text(encoding="utf-8") for page in pages)
    assert one.replace(str(tmp_path / "a"), str(tmp_path / "b")) == two  # but for the next commands


def test_copies_are_asked_for_once(tmp_path, tissue, rng):
    for k in range(5):
        write_image(tissue / "s1" / f"copy{k}.png", read_image(tissue / "s0" / f"p{k}.png"))
    assert len(_pixels(_label(tissue, tmp_path / "labels", count=20))) <= 10


def test_what_is_broken_is_named_at_the_end_and_all_else_is_there(tmp_path, tissue):
    (tissue / "s0" / "bad.png").write_bytes(b"no image")
    with pytest.raises(SystemExit, match=r"1 files or patches were skipped(.|\n)*bad\.png"):
        _label(tissue, tmp_path / "labels", count=4)
    assert (tmp_path / "labels" / "round_1" / "label.html").is_file()


def test_what_to_do_next_is_said(tmp_path, tissue, caplog):
    caplog.set_level(logging.INFO)
    _label(tissue, tmp_path / "labels", count=50, settings={"train": {}})
    assert "label.html in a browser, answer, and save labels.csv beside it" in caplog.text
    assert "50 patches were asked for; the others look like these, or there are no more" in caplog.text
    assert f"pipeline.yaml --source {tmp_path}/labels --prepare" in caplog.text
    assert "with the dataset file after pipeline.yaml" in caplog.text


def test_classes_are_told_by_names_a_list_or_a_dataset_file():
    assert facts_to_label({}, "[tumour, stroma]").classes == ("tumour", "stroma")
    assert facts_to_label({}, ["a, b", 'c "d"']).classes == ("a, b", 'c "d"')
    given = {"classes": ["a", "b"], "palette": [[1, 2, 3], [4, 5, 6]], "patch_size": [112, 112], "mpp": 1.0}
    facts = facts_to_label(given)
    assert facts.palette == ((1, 2, 3), (4, 5, 6)) and facts.patch_size == (112, 112) and facts.mpp == 1.0
    other = facts_to_label(given, ["x", "y", "z"], 64, 0.5)
    assert other.classes == ("x", "y", "z") and other.patch_size == (64, 64) and other.mpp == 0.5
    assert len(other.palette) == 3


def test_what_cannot_be_asked_is_refused(tmp_path):
    with pytest.raises(ValueError, match="classes: found none"):
        facts_to_label({})
    with pytest.raises(ValueError, match="expected at most 19"):
        facts_to_label({}, [f"c{k}" for k in range(20)])
    with pytest.raises(ValueError, match="source: found none"):
        _label(None, tmp_path)


def test_rounds_of_one_folder_ask_for_the_same(tmp_path, tissue):
    _label(tissue, tmp_path / "labels", count=4)
    with pytest.raises(ValueError, match=r"round_1: has classes \['tumour', 'stroma'\], the others \['fat', 'stroma'\]"):
        request = RoundRequest(tissue, tmp_path / "labels", progress=False)
        label_patches(request, facts_to_label({}, ["fat", "stroma"], [32, 32]), TinyExtractor())


def test_two_at_once_do_not_make_the_same_round(tmp_path, tissue):
    (tmp_path / "labels").mkdir()
    holder = hold_lock(tmp_path / "labels" / ".lock")
    with pytest.raises(BlockingIOError, match=r"labels"):
        _label(tissue, tmp_path / "labels", count=4)
    holder.communicate("\n")
    assert _label(tissue, tmp_path / "labels", count=4).parent.name == "round_1"


def test_a_pattern_that_is_none_is_named_as_the_setting_is(tmp_path, tissue):
    with pytest.raises(ValueError, match=r"^group: found '\('"):
        _label(tissue, tmp_path / "labels", group="(")


def test_a_round_is_not_made_within_a_round(tmp_path, tissue):
    _label(tissue, tmp_path / "labels", count=4)
    with pytest.raises(ValueError, match="round_1: is a round itself"):
        _label(tissue, tmp_path / "labels" / "round_1", count=4)


def test_a_run_that_fails_leaves_no_folder(tmp_path, tissue):
    with pytest.raises(FileNotFoundError):
        _label(tmp_path / "nowhere", tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def test_rounds_may_lie_in_the_folder_that_they_are_of(tmp_path, tissue):
    pages = [_label(tissue, tissue, count=4) for _ in range(2)]
    assert len(_pixels(pages[0]) | _pixels(pages[1])) == 8


def test_a_round_is_of_the_pixel_size_of_those_before(tmp_path, rng):
    for k, mpp in enumerate((0.5, 0.5, 0.25)):
        image = np.kron(rng.integers(60, 190, (4, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        write_image(tmp_path / f"mpp{mpp}" / f"s{k}.png", image, (mpp, mpp))
    page = _label(tmp_path / "mpp0.5", tmp_path / "labels", count=2)
    assert json.loads((page.parent / "patches.json").read_text())["dataset"]["mpp"] == 0.5
    with pytest.raises(ValueError, match=r"s2.png: has 0.25 µm/px, expected 0.5"):
        _label(tmp_path / "mpp0.25", tmp_path / "labels", count=2)
