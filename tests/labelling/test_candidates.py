"""Which patches could be labelled."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from scripts.core.image_writers import write_image
from scripts.labelling.candidates import Candidate, CandidateRule, each_source, find_candidates

RULE = CandidateRule((32, 32))


def _tissue(height, width, rng, shade=120):
    return rng.integers(shade - 40, shade + 40, (height, width, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, rng):
    write_image(tmp_path / "large.png", _tissue(100, 70, rng))
    half = _tissue(64, 64, rng)
    half[:, 32:] = 255
    write_image(tmp_path / "half.png", half)
    write_image(tmp_path / "patch.png", _tissue(32, 32, rng))
    write_image(tmp_path / "small.png", _tissue(24, 40, rng))
    write_image(tmp_path / "white.png", np.full((64, 64, 3), 255, np.uint8))
    return tmp_path


def test_images_are_cut_where_there_is_tissue_and_all_patches_are_of_one_size(folder):
    found, faults = find_candidates(folder, RULE, progress=False)
    assert not faults
    boxes = {name: [c.box for c in found if c.source.stem == name] for name in ("large", "half", "patch", "small", "white")}
    # three of 32 px in 100, from the middle
    assert boxes["large"] == [(y, x, 32, 32) for y in (2, 34, 66) for x in (3, 35)]
    assert boxes["half"] == [(0, 0, 32, 32), (32, 0, 32, 32)]
    assert boxes["patch"] == [(0, 0, 32, 32)]
    assert boxes["small"] == [(0, 4, 32, 32)]  # white below
    assert boxes["white"] == []
    assert [c.source.stem for c in found if c.whole] == ["patch"]
    assert {c.box[2:] for c in found} == {(32, 32)}
    assert len({c.name for c in found}) == len(found)


def test_subfolders_and_patterns_tell_slides(tmp_path, rng):
    for slide in ("s1", "s2"):
        for k in range(2):
            (tmp_path / slide).mkdir(exist_ok=True)
            write_image(tmp_path / slide / f"a{k}.png", _tissue(32, 32, rng))
    found, _ = find_candidates(tmp_path, RULE, progress=False)
    assert sorted(c.group for c in found) == ["s1", "s1", "s2", "s2"]
    by_number = CandidateRule((32, 32), group=re.compile(r"a(\d)"))
    assert sorted(c.group for c in find_candidates(tmp_path, by_number, progress=False)[0]) == ["0", "0", "1", "1"]


def test_what_cannot_be_read_is_named_and_all_else_found(folder):
    (folder / "cut.png").write_bytes((folder / "large.png").read_bytes()[:400])
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    found, faults = find_candidates(folder, RULE, progress=False)
    assert len(found) == 10
    assert [name for name in ("cut.png", "gone.png") if any(name in fault for fault in faults)] == ["cut.png", "gone.png"]
    assert len(faults) == 2


def test_no_tissue_and_no_image_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        find_candidates(tmp_path / "nowhere", RULE, progress=False)
    with pytest.raises(FileNotFoundError, match="found no image and no slide"):
        find_candidates(tmp_path, RULE, progress=False)
    write_image(tmp_path / "white.png", np.full((64, 64, 3), 255, np.uint8))
    with pytest.raises(ValueError, match=r"found no patch of 32 x 32 px of which 50% is tissue in 1 images"):
        find_candidates(tmp_path, RULE, progress=False)
    (tmp_path / "white.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"none of its files can be read\n.*white.png"):
        find_candidates(tmp_path, RULE, progress=False)


def test_of_many_as_many_of_each_slide_are_looked_at(tmp_path, rng, caplog):
    caplog.set_level(logging.INFO)
    for name, side in (("a", 320), ("b", 64), ("c", 64)):
        write_image(tmp_path / f"{name}.png", _tissue(side, side, rng))
    found, _ = find_candidates(tmp_path, CandidateRule((32, 32), most=12), progress=False)
    assert sorted(c.group for c in found) == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert "108 patches with tissue, 12 of which are looked at" in caplog.text
    again, _ = find_candidates(tmp_path, CandidateRule((32, 32), most=12), progress=False)
    assert again == found
    other, _ = find_candidates(tmp_path, CandidateRule((32, 32), most=12, seed=1), progress=False)
    assert other != found


def test_each_image_is_opened_once_and_read_white_beyond_its_edge(folder):
    found, faults = find_candidates(folder, RULE, progress=False)
    seen = {}
    for k, candidate, opened in each_source(found[::-1], None, faults, "test", progress=False):
        top, left, height, width = candidate.box
        around = opened.read(top - 8, left - 8, height + 16, width + 16)
        assert np.array_equal(around[8:-8, 8:-8], opened.read(*candidate.box))
        seen[found[::-1][k].name] = around
    assert len(seen) == len(found) and not faults
    corner = seen[next(c.name for c in found if c.source.stem == "half" and c.box[:2] == (0, 0))]
    assert (corner[:8] == 255).all() and (corner[:, :8] == 255).all()


def test_an_image_that_is_gone_meanwhile_is_named(folder):
    found, faults = find_candidates(folder, RULE, progress=False)
    (folder / "large.png").unlink()
    left = [candidate.source.stem for _, candidate, _ in each_source(found, None, faults, "test", progress=False)]
    assert set(left) == {"half", "patch", "small"} and len(faults) == 1 and "large.png" in faults[0]


def test_an_image_of_another_pixel_size_is_refused(tmp_path, rng):
    write_image(tmp_path / "a.png", _tissue(64, 64, rng), (0.5, 0.5))
    with pytest.raises(ValueError, match=r"a.png: has 0.5 µm/px, expected 1"):
        find_candidates(tmp_path, CandidateRule((32, 32), mpp=1.0), progress=False)
    assert len(find_candidates(tmp_path, CandidateRule((32, 32), mpp=0.5), progress=False)[0]) == 4


def test_a_candidate_is_plain():
    assert Candidate("a.png", "a", "g", (0, 0, 8, 8)) == Candidate("a.png", "a", "g", (0, 0, 8, 8))


def test_blank_patches_are_none(tmp_path, rng):
    write_image(tmp_path / "blank.png", np.full((32, 32, 3), 250, np.uint8))
    write_image(tmp_path / "tissue.png", _tissue(32, 32, rng))
    assert [c.source.stem for c in find_candidates(tmp_path, RULE, progress=False)[0]] == ["tissue"]


def test_names_are_told_apart_on_every_system(tmp_path, rng):
    write_image(tmp_path / "a.png", _tissue(64, 64, rng))
    write_image(tmp_path / "a_y0_x32.png", _tissue(32, 32, rng))
    write_image(tmp_path / "A_y32_x0.png", _tissue(32, 32, rng))
    write_image(tmp_path / 'b: "1"?.png', _tissue(32, 32, rng))
    names = [c.name for c in find_candidates(tmp_path, RULE, progress=False)[0]]
    assert len({name.casefold() for name in names}) == len(names) == 7
    assert not any(set(name) & set('<>:"/\\|?*') for name in names)


def test_of_a_list_of_folders_each_tells_its_own_slides(tmp_path, rng):
    for cohort in ("c0", "c1"):
        for slide in ("s1", "s2"):
            (tmp_path / cohort / slide).mkdir(parents=True)
            write_image(tmp_path / cohort / slide / "a.png", _tissue(32, 32, rng))
    found, _ = find_candidates([tmp_path / "c0", tmp_path / "c1"], RULE, progress=False)
    assert [c.group for c in found] == ["c0/s1", "c0/s2", "c1/s1", "c1/s2"]
    alone, _ = find_candidates([tmp_path / "c0"], RULE, progress=False)
    assert [c.group for c in alone] == ["s1", "s2"]


def test_what_is_left_out_is_left_out_of_patterns_and_lists_too(tmp_path, rng, monkeypatch):
    for place in ("in", "in/labels/round_1/context"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / place / "a.png", _tissue(32, 32, rng))
    out = [tmp_path / "in" / "labels" / "round_1"]
    every = [str(p) for p in (tmp_path / "in").rglob("*.png")]
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (str(tmp_path / "in" / "**" / "*"), every, tmp_path / "in", "~/in", str(tmp_path / "i*")):
        found, _ = find_candidates(source, RULE, out, progress=False)
        assert [c.source.parent.name for c in found] == ["in"], source
