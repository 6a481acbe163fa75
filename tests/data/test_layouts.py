from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.datalist import SECTIONS
from scripts.data.layouts import known_layouts, register_layout
from scripts.data.prepare import prepare

OWN = """
from scripts.core import DatasetFacts
from scripts.data import register_layout

@register_layout("by_folder")
def by_folder(source, dataset):
    facts = DatasetFacts.from_dict({**dataset, "classes": sorted(p.name for p in source.iterdir() if p.is_dir())})
    entries = [
        {"image": path, "label": [int(k == folder) for k in facts.classes], "group": path.stem.split("_")[0]}
        for folder in facts.classes
        for path in sorted((source / folder).iterdir())
    ]
    return facts, {"training": entries}
"""


def test_a_layout_of_ones_own(tmp_path):
    """A folder for each class, whose reader is a file outside the bundle."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("fat", "gland")):
        for i in range(6):
            write_image(tmp_path / f"raw/{name}/case{i}_{k}.png", rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    (tmp_path / "layout_of_the_test.py").write_text(OWN)
    workflow = ConfigWorkflow(
        f"{BUNDLE_ROOT}/configs/prepare.yaml", workflow_type=None, logging_file=False, source=str(tmp_path / "raw"),
        dataset_dir=str(tmp_path / "set"), prepare={"layout": "by_folder", "val_fraction": 0.34, "progress": False},
        own=str(tmp_path / "layout_of_the_test.py"),
    )  # fmt: skip
    workflow.initialize()
    try:
        workflow.run()
        assert "by_folder" in known_layouts()
    finally:
        sys.modules.pop("layout_of_the_test", None)
    content = json.loads((tmp_path / "set/datalist.json").read_text())
    assert content["classes"] == ["fat", "gland"]
    assert len(content["training"]) == 8 and len(content["validation"]) == 4 and not content["test"]
    groups = [{e["group"] for e in content[section]} for section in ("training", "validation")]
    assert not groups[0] & groups[1] and set(content["training"][0]) == {"image", "label", "group"}
    for entry in content["training"]:
        assert entry["label"] == [int("fat" in entry["image"]), int("gland" in entry["image"])]


def test_unknown_layouts_and_names_that_are_taken(tmp_path):
    with pytest.raises(ValueError, match=r"layout: expected one of \['rois', 'luad', 'bcss', 'patches', 'datalist'"):
        prepare(tmp_path, tmp_path / "set", layout="roi")
    for name in ("rois", "patches"):
        with pytest.raises(ValueError, match=r"there is a layout .* already"):
            register_layout(name)(lambda source, dataset: None)


def test_entries_without_a_group_are_groups_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    entries = []
    for i in range(10):
        write_image(tmp_path / f"raw/{i}.png", rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
        entries.append({"image": tmp_path / f"raw/{i}.png", "label": [1]})

    @register_layout("plain of the test")
    def _(source, dataset):
        from scripts.core.facts import DatasetFacts

        return DatasetFacts(classes=("a",)), {"training": entries}

    prepare(tmp_path / "raw", tmp_path / "set", layout="plain of the test", val_fraction=0.3)
    content = json.loads((tmp_path / "set/datalist.json").read_text())
    assert [len(content[s]) for s in ("training", "validation")] == [7, 3]
    assert all(set(e) == {"image", "label"} for e in content["training"] + content["validation"])


def _sections(tmp_path, source, **settings):
    settings = {"dataset": {"classes": ["a", "b"], "white_background": False}, "layout": "patches", **settings}
    content = json.loads(prepare(source, tmp_path / "set", progress=False, **settings).read_text())
    names = {key: sorted(Path(e["image"]).relative_to(source).as_posix() for e in content[key]) for key in SECTIONS}
    return content, names


@pytest.fixture
def patches(tmp_path):
    """Four training patches with labels in their names."""
    rng = np.random.default_rng(0)
    for i in range(4):
        write_image(
            tmp_path / f"raw/train/s{i}-1-[{i % 2} {1 - i % 2}].png", rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        )
    return tmp_path / "raw"


def _image(path, mask=None):
    write_image(path, np.full((16, 16, 3), 90, np.uint8))
    if mask is not None:
        write_mask(mask, np.eye(16), DatasetFacts(classes=("a", "b")))


@pytest.mark.parametrize(("train", "test"), [("train", "Test"), ("Training", "TEST"), (".", "Test")])
def test_folders_of_upper_case_are_those_of_lower_case(patches, tmp_path, train, test):
    for path in sorted((patches / "train").iterdir()):
        (patches / train).mkdir(exist_ok=True)
        path.rename(patches / train / path.name)
    if train != "train":
        (patches / "train").rmdir()
    _image(patches / test / "Img/t[1 0].png", patches / test / "Mask/t[1 0].png")
    content, names = _sections(tmp_path, patches)
    assert names["test"] == [f"{test}/Img/t[1 0].png"] and "mask" in content["test"][0]
    assert len(names["training"]) + len(names["validation"]) == 4


def test_images_to_test_on_may_lie_in_subfolders_with_their_masks(patches, tmp_path):
    for name in ("a/t.png", "b/t.png", "t.png"):
        _image(patches / "test/img" / name, patches / "test/mask" / name)
    content, names = _sections(tmp_path, patches)
    assert names["test"] == ["test/img/a/t.png", "test/img/b/t.png", "test/img/t.png"]
    assert all(e["mask"] == e["image"].replace("/img/", "/mask/") for e in content["test"])


def test_masks_that_are_of_no_image_are_said(patches, tmp_path):
    _image(patches / "test/img/t.png", patches / "test/mask/t_mask.png")
    with pytest.raises(SystemExit, match=r"test/mask: 1 masks are of no image, as t_mask\.png; give each the name"):
        _sections(tmp_path, patches)


def test_training_masks_may_have_another_suffix(patches, tmp_path):
    for path in (patches / "train").iterdir():
        mask = patches / "train_mask" / path.name
        _image(path, mask)
        path.rename(path.with_suffix(".PNG"))
    content, names = _sections(tmp_path, patches, val_fraction=0.3)
    assert len(names["training"]) == 3
    assert all(Path(e["mask"]).stem == Path(e["image"]).stem for e in content["training"])


def test_a_table_that_lists_images_to_test_on_too_does_not_let_them_train(patches, tmp_path):
    _image(patches / "test/img/t.png", patches / "test/mask/t.png")
    rows = [f"{p.name},{i % 2},{1 - i % 2}" for i, p in enumerate(sorted((patches / "train").iterdir()))]
    (patches / "labels.csv").write_text("\n".join(["image,a,b", *rows, "test/img/t.png,1,0"]))
    content, names = _sections(tmp_path, patches)
    assert names["test"] == ["test/img/t.png"] and content["test"][0]["label"] == [1, 0]
    assert len(names["training"]) + len(names["validation"]) == 4


@pytest.mark.parametrize("names", [("val", "validation"), ("test", "Test")])
def test_two_folders_for_the_same_are_refused(patches, tmp_path, names):
    for name in names:
        _image(patches / name / "img/t.png")
    with pytest.raises(ValueError, match=f"found {min(names)} and {max(names)}, expected one of them"):
        _sections(tmp_path, patches)
