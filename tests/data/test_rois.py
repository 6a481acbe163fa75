from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.data.rois import cut, find_rois, image_level_label, pad_to, rescale, split_groups, split_rois


def test_corners_cover_the_region():
    assert list(cut((10, 8), (4, 4), 4)) == [(0, 0), (0, 4), (4, 0), (4, 4), (6, 0), (6, 4)]
    assert list(cut((4, 4), (4, 4), 2)) == [(0, 0)]


@given(st.integers(5, 40), st.integers(5, 40), st.integers(1, 5), st.integers(1, 5))
def test_every_pixel_is_in_a_patch(height, width, size, stride):
    stride = min(stride, size)
    seen = np.zeros((height, width), bool)
    for y, x in cut((height, width), (size, size), stride):
        assert y + size <= height and x + size <= width
        seen[y : y + size, x : x + size] = True
    assert seen.all()


def test_label_threshold_is_exclusive_and_counts_white():
    mask = np.array([[0] * 5 + [1] * 4 + [2] * 11])  # 25 %, 20 %, 55 % white
    assert image_level_label(mask, 2, 0.2) == [1, 0]
    assert image_level_label(mask, 2, 0.19) == [1, 1]


def test_padding_is_not_annotated():
    image, mask = pad_to(np.ones((3, 5, 3), np.uint8), np.zeros((3, 5), np.uint8), (4, 4), fill=9)
    assert image.shape == (4, 5, 3) and mask.shape == (4, 5) and (mask[3] == 9).all() and (mask[:3] == 0).all()


def test_rescale_keeps_mask_values():
    image, mask = rescale(np.zeros((8, 6, 3), np.uint8), np.repeat([[0, 0, 0, 7, 7, 7]], 8, 0).astype(np.uint8), 0.5)
    assert image.shape == (4, 3, 3) and mask.shape == (4, 3) and set(np.unique(mask)) == {0, 7}


@given(st.integers(6, 60), st.integers(0, 20))
def test_split_is_a_partition_with_rare_classes_everywhere(count, seed):
    rois = {f"r{i:02d}": dict.fromkeys([0] + [1] * (i % 2) + [2] * (i in (1, 3, 4)), 10 + i) for i in range(count)}
    split = split_groups(rois, 0.15, 0.2, seed)
    assert sorted(sum(split.values(), [])) == sorted(rois)
    assert split == split_groups(rois, 0.15, 0.2, seed)
    if count >= 15:
        for members in split.values():
            assert set().union(*(rois[m] for m in members)) == {0, 1, 2}
        assert len(split["test"]) == round(0.2 * count)
    if count > 15:
        assert "r04" in split["training"]  # rare class 2: most of it is learned from


def test_split_depends_on_the_seed():
    rois = {str(i): {0: 1} for i in range(30)}
    assert len({tuple(split_groups(rois, 0.2, 0.2, s)["test"]) for s in range(10)}) > 5


def test_split_leaves_training():
    with pytest.raises(ValueError, match="none to train on"):
        split_groups({str(i): {0: 1} for i in range(4)}, 0.5, 0.5, 0)


@pytest.mark.parametrize("seed", range(5))
def test_regions_of_a_case_are_on_one_side(seed):
    groups = {f"r{i:02}": f"case{i % 6}" for i in range(18)}
    pixels = {stem: {int(stem[1:]) % 2: 5} for stem in groups}
    split = split_rois(pixels, groups, 0.2, 0.2, seed)
    assert {name: len(stems) for name, stems in split.items()} == {"training": 12, "validation": 3, "test": 3}
    held = [{groups[stem] for stem in stems} for stems in split.values()]
    assert sum(map(len, held)) == len(set().union(*held)) == 6
    # each a group of its own: as groups are split
    assert split_rois(pixels, {stem: stem for stem in pixels}, 0.2, 0.2, seed) == split_groups(pixels, 0.2, 0.2, seed)


def test_regions_whose_name_is_no_text_are_said(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in (b"a.png", b"gr\xfcn.png", b"._a.png"):
            with open(os.fsencode(tmp_path / folder) + b"/" + name, "wb"):
                pass
    pairs, faults = find_rois(tmp_path)
    assert list(pairs) == ["a"] and len(faults) == 2
    assert faults[0].endswith("images/gr\\xfcn.png: its name is not UTF-8; rename it")


def test_regions_may_lie_in_subfolders(tmp_path):
    for name in ("images/c1/r.png", "images/c2/r.jpg", "images/s.png", "masks/c1/r.png", "masks/c2/r.png", "masks/s.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    pairs, faults = find_rois(tmp_path)
    assert list(pairs) == ["c1/r", "c2/r", "s"] and not faults
    assert pairs["c2/r"] == (tmp_path / "images/c2/r.jpg", tmp_path / "masks/c2/r.png")
