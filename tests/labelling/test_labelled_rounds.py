"""Answered rounds as a prepared dataset."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.images import read_image
from scripts.data import prepare
from scripts.labelling.candidates import CandidateRule, find_candidates
from scripts.labelling.label_rounds import next_round
from scripts.labelling.write_round import RoundRule, write_round

FACTS = DatasetFacts(("tumour", "stroma"), "mine", ((200, 0, 0), (0, 90, 200)), mpp=0.5, patch_size=(32, 32))
HEAD = "image,group,position_y,position_x,seconds,annotator,cannot_tell,again,again_seconds,tumour,stroma\n"


@pytest.fixture
def labels(tmp_path, rng):
    """Two rounds of six patches of three slides, without answers."""
    for k in range(6):
        write_image(tmp_path / "tissue" / f"s{k}.png", rng.integers(60, 180, (32, 64, 3)).astype(np.uint8))
    found, _ = find_candidates(tmp_path / "tissue", CandidateRule((32, 32)), progress=False)
    for half in (found[:6], found[6:]):
        write_round(next_round(tmp_path / "labels"), half, [0] * 6, FACTS, RoundRule(), [], progress=False)
    return tmp_path / "labels"


def _answer(folder, answers):
    """Answers for the patches of a round, in their order: ``1 0``, ``?`` for cannot tell, empty for open."""
    patches = json.loads((folder / "patches.json").read_text())["patches"]
    lines = []
    for patch, answer in zip(patches, answers, strict=False):
        if answer:
            y, x = patch["position"]
            cells = "1,,,," if answer == "?" else f"0,,,{answer.replace(' ', ',')}"
            lines.append(f"{patch['image']},{patch['group']},{y},{x},2.0,me,{cells}")
    (folder / "labels.csv").write_text(HEAD + "\n".join(lines) + "\n")
    return patches


def _entries(target):
    content = json.loads((target / "datalist.json").read_text())
    entries = content["training"] + content["validation"]
    return content, {pixels.tobytes(): e for e in entries if (pixels := read_image(target / e["image"])) is not None}


def test_all_answered_rounds_are_one_dataset(tmp_path, labels, caplog):
    caplog.set_level(logging.INFO)
    one = _answer(labels / "round_1", ["1 0", "0 1", "1 1", "?", "0 0", ""])
    two = _answer(labels / "round_2", ["1 0", "0 1", "1 1", "1 1", "1 0", "0 1"])
    prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    content, entries = _entries(tmp_path / "set")
    assert content["classes"] == ["tumour", "stroma"] and content["mpp"] == 0.5 and content["name"] == "mine"
    assert content["palette"] == [[200, 0, 0], [0, 90, 200]]
    assert len(entries) == 9
    expected = {("round_1", 0): [1, 0], ("round_1", 2): [1, 1], ("round_2", 5): [0, 1]}
    for (folder, number), label in expected.items():
        patch = (one if folder == "round_1" else two)[number]
        entry = entries[read_image(labels / folder / patch["image"]).tobytes()]
        assert entry["label"] == label and entry["group"] == patch["group"] and entry["position"] == patch["position"]
    assert "3 patches that train; left out: 1 cannot tell, 1 none of these" in caplog.text
    assert "ask for a class of its own, 'other'" in caplog.text


def test_a_round_more_makes_the_dataset_anew(tmp_path, labels):
    _answer(labels / "round_1", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    assert len(_entries(tmp_path / "set")[1]) == 6
    prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)  # nothing to do
    _answer(labels / "round_2", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    with pytest.raises(FileExistsError, match="overwrite"):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    prepare(labels, tmp_path / "set", {}, layout="labelled", overwrite=True, progress=False)
    assert len(_entries(tmp_path / "set")[1]) == 12


def test_one_round_alone(tmp_path, labels):
    _answer(labels / "round_2", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    prepare(labels / "round_2", tmp_path / "set", {}, layout="labelled", progress=False)
    assert len(_entries(tmp_path / "set")[1]) == 6


def test_facts_of_a_dataset_file_count_above_those_of_the_page(tmp_path, labels):
    _answer(labels / "round_1", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    prepare(labels, tmp_path / "set", {"name": "other", "white_background": True}, layout="labelled", progress=False)
    content = _entries(tmp_path / "set")[0]
    assert content["name"] == "other" and content["white_background"] and content["palette"] == [[200, 0, 0], [0, 90, 200]]


def test_without_answers_it_says_where_they_go(tmp_path, labels):
    with pytest.raises(FileNotFoundError, match=r"round_1/labels.csv: no such file; open .*label.html"):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    with pytest.raises(FileNotFoundError, match="found no round of labelling"):
        prepare(tmp_path, tmp_path / "set", {}, layout="labelled", progress=False)


def test_the_table_of_another_page_is_refused(tmp_path, labels):
    _answer(labels / "round_1", ["1 0"] * 6)
    (labels / "round_2" / "labels.csv").write_bytes((labels / "round_1" / "labels.csv").read_bytes())
    with pytest.raises(ValueError, match=r"none of its 6 images is among the 6 of .*round_2/patches.json"):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)


def test_answers_that_teach_nothing_are_refused(tmp_path, labels):
    _answer(labels / "round_1", ["?", "0 0"])
    with pytest.raises(ValueError, match="no answer names a tissue"):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)


def test_a_patch_that_is_gone_is_named_and_the_others_are_taken(tmp_path, labels):
    patches = _answer(labels / "round_1", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    (labels / "round_1" / patches[0]["image"]).unlink()
    with pytest.raises((SystemExit, FileNotFoundError), match=patches[0]["image"]):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)


def test_the_layout_of_patches_says_which_it_is(tmp_path, labels):
    _answer(labels / "round_1", ["1 0"] * 6)
    with pytest.raises(ValueError, match=r"a round of labelling.*layout labelled"):
        prepare(labels / "round_1", tmp_path / "set", {}, layout="patches", progress=False)


def test_a_table_of_another_name_is_told_of(tmp_path, labels, caplog):
    _answer(labels / "round_1", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    (labels / "round_1" / "labels.csv").rename(labels / "round_1" / "labels (1).csv")
    with pytest.raises(FileNotFoundError, match=r"labels \(1\).csv: found this table, expected labels.csv; rename it"):
        prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    _answer(labels / "round_1", ["1 0", "0 1", "1 1", "1 0", "0 1", "1 1"])
    prepare(labels, tmp_path / "set", {}, layout="labelled", progress=False)
    assert "labels (1).csv: not read; answers are those of labels.csv" in caplog.text


def test_other_classes_are_refused(tmp_path, labels):
    _answer(labels / "round_1", ["1 0"] * 6)
    with pytest.raises(ValueError, match=r"has the classes \['tumour', 'stroma'\], expected \['fat'\]"):
        prepare(labels, tmp_path / "set", {"classes": ["fat"]}, layout="labelled", progress=False)
