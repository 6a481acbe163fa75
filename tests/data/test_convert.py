from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import tifffile
from PIL import Image
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_image, read_mask
from scripts.data.check import check_dataset
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare

FACTS = DatasetFacts(classes=("a", "b"), white_background=False)
ONE_BASED = {0: None, 1: "a", 2: "b"}


def _noise(seed, size=(32, 32)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def _published(raw, masks):
    """A published folder, whose held-out masks hold these values."""
    for i in range(4):
        write_image(raw / f"train/s{i}-0-0[1 0].png", _noise(i))
        write_image(raw / f"train/t{i}-0-0[0 1].png", _noise(10 + i))
    for section in ("val", "test"):
        for name, mask in masks.items():
            write_image(raw / section / f"img/{name}.png", _noise(hash(section + name) % 2**32))
            (raw / section / "mask").mkdir(exist_ok=True)
            Image.fromarray(np.asarray(mask)).save(raw / section / f"mask/{name}.png")
    return raw


def _prepare(source, target, **facts):
    return prepare(source, target, {**FACTS.to_dict(), **facts}, layout="luad", progress=False)


def _mask(*rows):
    return np.repeat(np.repeat(np.array(rows, np.uint8), 16, 0), 16, 1)


def test_masks_of_other_values_become_class_indices_under_the_target(tmp_path):
    """Counted from 1, 0 not annotated: copies are made, the raw data stay."""
    stored = _mask([0, 1], [2, 2])
    raw = _published(tmp_path / "raw", {"x": stored})
    datalist = _prepare(raw, tmp_path / "set", mask_values=ONE_BASED)
    assert "mask_values" not in json.loads(datalist.read_text())
    for section in ("validation", "test"):
        (entry,) = read_datalist(tmp_path / "set", section, ("image", "mask"))
        assert entry["mask"].startswith(str(tmp_path / "set/converted/masks/")) and entry["image"].startswith(str(raw))
        np.testing.assert_array_equal(read_mask(entry["mask"]), _mask([2, 0], [1, 1]))
    np.testing.assert_array_equal(read_mask(raw / "test/mask/x.png"), stored)
    # one and the same file name in two sections gives two copies
    assert len(list((tmp_path / "set/converted/masks").iterdir())) == 2
    errors = [f for f in check_dataset(tmp_path / "set", progress=False) if f.severity == "error"]
    assert not [f for f in errors if "mask" in f.kind]


def test_a_value_that_the_mapping_does_not_have_is_refused_for_all_masks(tmp_path):
    raw = _published(tmp_path / "raw", {"x": _mask([0, 1], [2, 2]), "y": _mask([0, 1], [2, 7])})
    with pytest.raises(ValueError) as error:
        _prepare(raw, tmp_path / "set", mask_values=ONE_BASED)
    message = str(error.value)
    assert "7 (12.50 % of the pixels, 2 masks" in message and "y.png" in message and "null where not annotated" in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["raw"]


def test_a_mapping_that_changes_makes_other_masks_and_old_copies_go(tmp_path):
    raw = _published(tmp_path / "raw", {"x": _mask([0, 1], [2, 2])})
    _prepare(raw, tmp_path / "set", mask_values=ONE_BASED)
    other = {0: "a", 1: "a", 2: "b"}
    with pytest.raises(FileExistsError, match=r"setting dataset#mask_values was \{'0': None"):
        _prepare(raw, tmp_path / "set", mask_values=other)
    prepare(raw, tmp_path / "set", {**FACTS.to_dict(), "mask_values": other}, layout="luad", progress=False, overwrite=True)
    (entry,) = read_datalist(tmp_path / "set", "test", ("mask",))
    np.testing.assert_array_equal(read_mask(entry["mask"]), _mask([0, 0], [1, 1]))
    prepare(raw, tmp_path / "set", {**FACTS.to_dict(), "mask_values": {}}, layout="luad", progress=False, overwrite=True)
    assert not (tmp_path / "set/converted").exists()


def test_a_damaged_mask_is_skipped_and_named_when_masks_are_converted(tmp_path):
    raw = _published(tmp_path / "raw", {"x": _mask([0, 1], [2, 2]), "y": _mask([1, 1], [2, 2])})
    (raw / "test/mask/x.png").write_bytes((raw / "test/mask/x.png").read_bytes()[:40])
    with pytest.raises(SystemExit, match=r"1 files were skipped(.|\n)*test/mask/x\.png"):
        _prepare(raw, tmp_path / "set", mask_values=ONE_BASED)
    assert [len(read_datalist(tmp_path / "set", s, ("mask",))) for s in ("validation", "test")] == [2, 1]


@pytest.mark.parametrize("values", [ONE_BASED, {"0": "a", "255": "b"}, {4000: "b", 0: "a"}])
def test_regions_are_cut_by_the_mapping(tmp_path, values):
    keys = sorted(map(int, values))
    stored = np.repeat(np.array([keys], np.uint16), 32, 0).repeat(-(-32 // len(keys)), 1)[:, :32]
    names = {int(k): v for k, v in values.items()}
    index = {None: 2, "a": 0, "b": 1}
    expected = np.vectorize(lambda v: index[names[v]])(stored)
    for i in range(4):
        write_image(tmp_path / f"raw/images/r{i}.png", _noise(i))
        (tmp_path / "raw/masks").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"raw/masks/r{i}.tif", stored)
    facts = {**FACTS.to_dict(), "mask_values": values}
    prepare(tmp_path / "raw", tmp_path / "set", facts, patch_size=16, progress=False, label_threshold=0.0)
    (test,) = read_datalist(tmp_path / "set", "test", ("mask", "label"))
    np.testing.assert_array_equal(read_mask(test["mask"]), expected)
    for entry in read_datalist(tmp_path / "set", "training", ("mask", "position")):
        y, x = entry["position"]
        np.testing.assert_array_equal(read_mask(entry["mask"]), expected[y : y + 16, x : x + 16])
        assert entry["label"] == [int(k in expected[y : y + 16, x : x + 16]) for k in (0, 1)]


def test_black_and_white_masks_without_a_mapping_end_with_how_to_give_one(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"raw/images/r{i}.png", _noise(i))
        (tmp_path / "raw/masks").mkdir(exist_ok=True)
        Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(tmp_path / f"raw/masks/r{i}.png")
    with pytest.raises(ValueError, match=r"found mask values \[255\] in 3.1 % of its pixels.*mask_values"):
        prepare(tmp_path / "raw", tmp_path / "set", FACTS.to_dict(), patch_size=16, progress=False)


def test_shares_are_printed_and_masks_counted_from_1_are_suspected(tmp_path, caplog):
    raw = _published(tmp_path / "raw", {"x": _mask([1, 1], [2, 2])})
    with caplog.at_level(logging.INFO):
        _prepare(raw, tmp_path / "set")
    printed = "\n".join(caplog.messages)
    assert "values of 2 true masks:" in printed and "50.00 %" in printed
    assert "no value 0 in any mask, and 2 as the highest, the number of classes" in printed
    (fault,) = [f for f in check_dataset(tmp_path / "set", progress=False) if "no value 0" in f.found]
    assert fault.severity == "warning" and "mask_values" in fault.expected


def _deep(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image.astype(np.uint16) * 16, photometric="rgb")


def test_deep_images_are_copied_by_value_range_and_others_stay(tmp_path):
    raw, rows = tmp_path / "raw", ["image,a,b"]
    for i in range(4):
        _deep(raw / f"deep{i}.tif", _noise(i))
        write_image(raw / f"plain{i}.png", _noise(10 + i))
        rows += [f"deep{i}.tif,1,0", f"plain{i}.png,0,1"]
    (raw / "labels.csv").write_text("\n".join(rows))
    facts = {"white_background": False}
    prepare(raw, tmp_path / "set", facts, layout="patches", value_range=[0, 255 * 16], progress=False)
    entries = [e for s in ("training", "validation") for e in read_datalist(tmp_path / "set", s)]
    assert len(entries) == 8
    for entry in entries:
        name, number = entry["name"][:-1], int(entry["name"][-1])
        deep = name.startswith("deep")
        assert entry["image"].startswith(str(tmp_path / "set/converted/images/" if deep else raw))
        np.testing.assert_array_equal(read_image(entry["image"]), _noise(number if deep else 10 + number))
    assert not [f for f in check_dataset(tmp_path / "set", progress=False) if "image" in f.kind]


def test_deep_regions_need_value_range(tmp_path):
    for i in range(3):
        _deep(tmp_path / f"raw/images/r{i}.tif", _noise(i))
        write_mask(tmp_path / f"raw/masks/r{i}.png", np.eye(32), FACTS)
    with pytest.raises(ValueError, match="value_range"):
        prepare(tmp_path / "raw", tmp_path / "set", FACTS.to_dict(), patch_size=16, progress=False)
    settings = {"patch_size": 16, "value_range": [0, 4080], "progress": False}
    prepare(tmp_path / "raw", tmp_path / "set", FACTS.to_dict(), **settings)
    (test,) = read_datalist(tmp_path / "set", "test")
    np.testing.assert_array_equal(read_image(test["image"]), _noise(int(test["group"][1:])))


@pytest.mark.parametrize("value_range", [[5, 5], [1], "0-255", [0, float("nan")], [True, 2]])
def test_a_range_that_is_none(tmp_path, value_range):
    with pytest.raises(ValueError, match="prepare#value_range: found"):
        prepare(tmp_path, tmp_path / "set", FACTS.to_dict(), value_range=value_range, progress=False)


def test_scale_divides_the_size_of_a_pixel_and_is_for_regions_alone(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"raw/images/r{i}.png", _noise(i))
        write_mask(tmp_path / f"raw/masks/r{i}.png", np.eye(32), FACTS)
    facts = {**FACTS.to_dict(), "mpp": 0.5}
    prepare(tmp_path / "raw", tmp_path / "set", facts, patch_size=8, scale=0.5, progress=False)
    assert load_facts(tmp_path / "set").mpp == 1.0
    with pytest.raises(ValueError, match=r"prepare#scale: found 0\.5, but images of layout 'luad' are used as they are"):
        prepare(tmp_path / "raw", tmp_path / "other", facts, layout="luad", scale=0.5, progress=False)
