from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scripts.core.images import read_image, read_mask
from scripts.demo import dataset as demo_dataset
from scripts.demo.dataset import DEMO_FACTS, DEMO_NAME, image_level_label, write_demo_dataset

SMALL = {"patch_size": 48, "num_train": 26, "num_val": 4, "num_test": 5, "progress": False}


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    return write_demo_dataset(tmp_path_factory.mktemp("demo") / "data", **SMALL)


def contents(folder: Path) -> dict[str, str]:
    files = (f for f in folder.rglob("*") if f.is_file())
    return {f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ([0] * 97 + [1] * 3, [1, 0, 0, 0]),  # 3 % does not exceed 3 %
        ([0] * 96 + [1] * 4, [1, 1, 0, 0]),
        ([4] * 90 + [3] * 10, [0, 0, 0, 1]),  # white is no class
        ([4] * 99 + [2], [0, 0, 1, 0]),  # the largest, where none is large
        ([4] * 100, [0, 0, 0, 0]),
    ],
)
def test_label_by_hand(pixels, expected):
    assert image_level_label(np.array(pixels, np.uint8).reshape(10, 10)) == expected


def test_layout_and_sizes(demo):
    for part, count, size in (("train", 26, 48), ("train_mask", 26, 48), ("val/img", 4, 96), ("test/mask", 5, 96)):
        files = sorted((demo / part).iterdir())
        assert len(files) == count, part
        read = read_mask if "mask" in part else read_image
        assert {read(f).shape[:2] for f in files} == {(size, size)}
    for split in ("val", "test"):
        names = [sorted(f.name for f in (demo / split / part).iterdir()) for part in ("img", "mask")]
        assert names[0] == names[1]
    assert json.loads((demo / DEMO_NAME).read_text())["patch_size"] == 48


def test_labels_in_names_are_those_of_the_masks(demo):
    files = sorted((demo / "train").iterdir())
    for file in files:
        label = [int(v) for v in re.fullmatch(r"train\d+-\d+-\d+-\[(\d(?: \d)*)\]", file.stem)[1].split()]
        mask = read_mask(demo / "train_mask" / file.name, DEMO_FACTS.num_classes)
        assert label == image_level_label(mask)
        assert 1 <= sum(label) <= 3
    assert len({file.stem.split("-[")[0] for file in files}) == len(files)


def test_every_split_has_every_class(demo):
    for part in ("train_mask", "val/mask", "test/mask"):
        values = np.unique(np.concatenate([read_mask(f, 4).ravel() for f in (demo / part).iterdir()]))
        assert set(values.tolist()) == {0, 1, 2, 3, 4}, part


def test_patches_of_a_slide_do_not_overlap(demo):
    corners = [tuple(map(int, re.findall(r"\d+", f.name)[:3])) for f in (demo / "train").iterdir()]
    for k, (slide, y, x) in enumerate(corners):
        for other, v, u in corners[:k]:
            assert slide != other or abs(y - v) >= 48 or abs(x - u) >= 48


def test_same_seed_same_bytes_and_another_differs(demo, tmp_path):
    assert contents(write_demo_dataset(tmp_path / "again", **SMALL)) == contents(demo)
    other = write_demo_dataset(tmp_path / "other", seed=1, **SMALL)
    for part in ("train", "val/img", "test/img"):
        assert not set(contents(other / part).values()) & set(contents(demo / part).values())


def test_a_smaller_dataset_is_part_of_a_larger_one(demo, tmp_path):
    fewer = write_demo_dataset(tmp_path / "fewer", **{**SMALL, "num_train": 7, "num_val": 2, "num_test": 0})
    small, large = contents(fewer), contents(demo)
    del small[DEMO_NAME]
    assert len(small) == 2 * (7 + 2)
    assert small.items() <= large.items()
    assert (fewer / "test" / "img").is_dir()


def test_a_complete_dataset_is_left_alone(demo, monkeypatch):
    monkeypatch.setattr(demo_dataset, "draw_tissue", None)  # any drawing would fail
    assert write_demo_dataset(demo, **SMALL) == demo


def test_another_dataset_is_not_overwritten(demo, tmp_path):
    with pytest.raises(FileExistsError, match=r"found a demo dataset with .*'seed': 0.* expected .*'seed': 3"):
        write_demo_dataset(demo, **{**SMALL, "seed": 3})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="no demo dataset"):
        write_demo_dataset(tmp_path, **SMALL)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_run_leaves_nothing(tmp_path, monkeypatch, error):
    written = []

    def fail_later(path, image):
        if len(written) == 5:
            raise error("stop")
        written.append(path)
        Path(path).write_bytes(b"")

    monkeypatch.setattr(demo_dataset, "write_image", fail_later)
    with pytest.raises(error):
        write_demo_dataset(tmp_path / "data", **SMALL)
    assert len(written) == 5
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_draw_into_an_empty_folder(tmp_path):
    (tmp_path / "data").mkdir()
    target = write_demo_dataset(tmp_path / "data", num_train=0, num_val=0, num_test=0, progress=False)
    assert (target / DEMO_NAME).is_file()


@pytest.mark.parametrize(
    ("setting", "value"), [("num_train", -1), ("patch_size", 16), ("seed", 0.5), ("num_val", True), ("image_size", 8)]
)
def test_bad_settings(tmp_path, setting, value):
    with pytest.raises(ValueError, match=rf"^{setting}: expected an integer of at least \d+, found {value}"):
        write_demo_dataset(tmp_path / "data", **{**SMALL, setting: value})
    assert list(tmp_path.iterdir()) == []
