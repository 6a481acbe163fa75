from __future__ import annotations

import json
import os

import itk
import nibabel
import numpy as np
import pytest
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.check import assert_sound, check_dataset
from scripts.data.datalist import write_datalist

FACTS = DatasetFacts(classes=("a", "b"))


@pytest.fixture
def dataset(tmp_path):
    """A sound dataset: four labelled patches, one validation and one test image."""
    rng = np.random.default_rng(0)
    sections = {"training": [], "validation": [], "test": []}
    for i in range(4):
        write_image(tmp_path / f"train/{i}.png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        write_mask(tmp_path / f"train_mask/{i}.png", np.full((16, 16), i % 2), FACTS)
        sections["training"].append(
            {"image": f"train/{i}.png", "mask": f"train_mask/{i}.png", "label": [int(i % 2 == 0), i % 2], "group": str(i)}
        )
    for section in ("validation", "test"):
        write_image(tmp_path / section / "img" / "v.png", rng.integers(0, 256, (20, 18, 3), dtype=np.uint8))
        write_mask(tmp_path / section / "mask" / "v.png", np.arange(360).reshape(20, 18) % 3, FACTS)
        sections[section].append({"image": f"{section}/img/v.png", "mask": f"{section}/mask/v.png"})
    write_datalist(tmp_path / "datalist.json", FACTS, sections)
    return tmp_path


def _edit(dataset, change):
    path = dataset / "datalist.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _copy(source, target):
    target.write_bytes(source.read_bytes())


def _label(value):
    return lambda d: _edit(d, lambda c: c["training"][0].update(label=value))


FAULTS = {
    "unreadable image": lambda d: _truncate(d / "train/1.png"),
    "unreadable mask": lambda d: write_image(d / "test/mask/v.png", np.zeros((20, 18, 3), np.uint8)),
    "missing file": lambda d: (d / "train/3.png").unlink(),
    "size mismatch": lambda d: write_mask(d / "validation/mask/v.png", np.arange(360).reshape(18, 20) % 3, FACTS),
    "mask value": lambda d: Image.fromarray(np.full((16, 16), 7, np.uint8)).save(d / "train_mask/2.png"),
    "patch size": lambda d: write_image(d / "train/2.png", np.zeros((16, 17, 3), np.uint8)),
    "label length": _label([1, 0, 0]),
    "label value": _label([1, 3]),
    "all-zero label": _label([0, 0]),
    "no label": _label(None),
    "class never present": lambda d: _edit(d, lambda c: [e.update(label=[1, 0]) for e in c["training"]]),
    "image in two splits": lambda d: _copy(d / "train/0.png", d / "test/img/v.png"),
    "no mask": lambda d: _edit(d, lambda c: c["test"][0].pop("mask")),
    "mask without image": lambda d: write_mask(d / "train_mask/stray.png", np.zeros((16, 16)), FACTS),
    "image not in the datalist": lambda d: write_image(d / "train/stray.png", np.zeros((16, 16, 3), np.uint8)),
    "path outside": lambda d: _edit(d, lambda c: c["training"][2].update(image="../elsewhere.png")),
    "image mode": lambda d: Image.fromarray(np.eye(16, dtype=np.uint8)).save(d / "train/2.png"),
    "position": lambda d: _edit(d, lambda c: c["training"][1].update(position=[0, "16"])),
    "image with two labels": lambda d: _copy(d / "train/0.png", d / "train/1.png"),
    "mask values": lambda d: (
        [write_mask(p, np.ones((20, 18)), FACTS) for p in d.glob("*/mask/v.png")]
        and [write_mask(d / f"train_mask/{i}.png", np.ones((16, 16)), FACTS) for i in range(4)]
    ),
    "label and mask": lambda d: _edit(d, lambda c: c["training"][3].update(label=[1, 0])),
    "white background": lambda d: _edit(d, lambda c: c.pop("white_background")),
    "empty section": lambda d: _edit(d, lambda c: c.update(test=[])),
}


def test_a_sound_dataset_has_no_fault(dataset):
    assert check_dataset(dataset, progress=False) == []
    assert assert_sound(dataset, dataset / "report", progress=False) == []
    assert (dataset / "report/dataset_check.txt").read_text() == "no fault found\n"


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_has_its_line(dataset, kind):
    FAULTS[kind](dataset)
    faults = check_dataset(dataset, progress=False)
    assert kind in {f.kind for f in faults}, faults
    assert all(f.file and f.found and f.expected for f in faults)


@pytest.mark.parametrize(
    ("label", "mask", "found"),
    [
        ([0, 1], [0, 0, 0, 2], "no pixel of 'b' in its mask, 'a' in more than half of it"),
        ([1, 1], [0, 0, 0, 2], "no pixel of 'b' in its mask"),
        ([0, 1], [0, 0, 0, 1], "'a' in more than half of it"),
        ([0, 1], [0, 0, 1, 1], None),  # as a threshold of labels may have it
        ([1, 0], [0, 2, 2, 2], None),
        ([1, 1], [0, 0, 2, 2], None),  # half is not annotated
    ],
)
def test_labels_and_true_masks_that_contradict_each_other(dataset, label, mask, found):
    """As with swapped columns of a table."""
    _label(label)(dataset)
    write_mask(dataset / "train_mask/0.png", np.repeat(np.array(mask), 4)[None].repeat(16, axis=0), FACTS)
    faults = [f for f in check_dataset(dataset, progress=False) if f.kind == "label and mask"]
    assert [(f.severity, f.found) for f in faults] == ([("warning", f"label {label}, and {found}")] if found else [])


def test_all_faults_at_once(dataset):
    """Together, but for those that hide each other: each has its own line, and there is no traceback."""
    hidden = {
        "path outside",
        "image mode",
        "label value",
        "all-zero label",
        "no label",
        "class never present",
        "empty section",
        "no mask",
        "unreadable mask",
        "mask values",
        "image with two labels",
    }
    planted = [kind for kind in FAULTS if kind not in hidden]
    for kind in planted:
        FAULTS[kind](dataset)
    with pytest.raises(SystemExit) as error:
        assert_sound(dataset, dataset / "report", progress=False)
    report = (dataset / "report/dataset_check.txt").read_text()
    for kind in planted:
        # the stray test image that stands in two splits has another size than its mask, too
        assert any(f": {kind}: " in line for line in report.splitlines()), kind
        assert kind in str(error.value)


DAMAGED = {
    "cut.nii": lambda p: nibabel.save(nibabel.Nifti1Image(np.zeros((16, 16), np.uint8), np.eye(4)), p),
    "cut.nii.gz": lambda p: nibabel.save(nibabel.Nifti1Image(np.zeros((16, 16), np.uint8), np.eye(4)), p),
    "cut.nrrd": lambda p: itk.imwrite(itk.image_from_array(np.eye(16, dtype=np.uint8)), str(p)),
    "cut.mha": lambda p: itk.imwrite(itk.image_from_array(np.eye(16, dtype=np.uint8)), str(p)),
    "cut.tif": lambda p: Image.fromarray(np.eye(16, dtype=np.uint8)).save(p),
    "cut.png": lambda p: Image.fromarray(np.eye(16, dtype=np.uint8)).save(p),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("part", [0, 10, 0.5])
@pytest.mark.parametrize("key", ["image", "mask"])
def test_a_damaged_file_of_any_format_does_not_end_the_check(dataset, name, part, key):
    """It is listed, and so is what comes after it."""
    path = dataset / "validation" / name
    DAMAGED[name](path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content)) if part < 1 else part])
    _edit(dataset, lambda c: c["validation"][0].update({key: f"validation/{name}"}))
    (dataset / "test/img/v.png").unlink()
    faults = {(f.kind, f.file) for f in check_dataset(dataset, progress=False)}
    assert {(f"unreadable {key}", str(path)), ("missing file", str(dataset / "test/img/v.png"))} <= faults


@pytest.mark.parametrize("name", ["a\0b.png", "train", "../../x.png", "", "x" * 5000, "\ud800.png", "train/0.png/x"])
@pytest.mark.parametrize("key", ["image", "mask"])
def test_paths_that_are_none(dataset, name, key):
    _edit(dataset, lambda c: c["training"][1].update({key: name}))
    assert any(f.severity == "error" for f in check_dataset(dataset, progress=False))


def test_what_systems_leave_beside_data_is_no_stray_and_a_name_that_is_no_text_is_a_warning(dataset):
    (dataset / "train/._0.png").write_bytes(b"macOS")
    assert check_dataset(dataset, progress=False) == []
    other = os.fsencode(dataset / "train") + b"/caf\xe9.png"
    with open(other, "wb") as file:
        file.write((dataset / "train/0.png").read_bytes())
    (fault,) = assert_sound(dataset, dataset / "report", progress=False)
    assert fault.severity == "warning" and fault.file.endswith("caf\\xe9.png") and "UTF-8" in fault.found
    (dataset / "train/gone.png").symlink_to(dataset / "nowhere.png")
    assert any("which does not exist" in f.found for f in check_dataset(dataset, progress=False))


def test_a_datalist_with_mask_values_is_not_prepared_yet(dataset):
    _edit(dataset, lambda c: c.update(mask_values={"0": None, "1": "a", "2": "b"}))
    (fault,) = [f for f in check_dataset(dataset, progress=False) if f.severity == "error"]
    assert fault.kind == "mask values" and "prepare.yaml" in fault.expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"classes": ["a"], "training": 3}', '{"classes": ["a"], "training": [3]}', "{", "[" * 100_000],
)
def test_malformed_datalists(tmp_path, text):
    (tmp_path / "datalist.json").write_text(text)
    assert "malformed datalist" in {f.kind for f in check_dataset(tmp_path, progress=False)}


def test_no_datalist(tmp_path):
    (fault,) = check_dataset(tmp_path, progress=False)
    assert fault.kind == "no datalist"


def test_a_mistyped_folder_is_not_made(tmp_path):
    with pytest.raises(SystemExit, match="no datalist"):
        assert_sound(tmp_path / "typo", tmp_path / "typo", progress=False)
    assert not (tmp_path / "typo").exists()


def test_a_datalist_with_a_byte_order_mark_is_read(dataset):
    path = dataset / "datalist.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert not [f for f in check_dataset(dataset, progress=False) if f.severity == "error"]


@pytest.mark.parametrize(
    ("field", "value"), [("group", {"a": 1}), ("region", [1]), ("mpp", "x"), ("mpp", 0), ("mask", 5), ("position", "1,2")]
)
def test_what_every_stage_would_refuse_is_an_error(dataset, field, value):
    _edit(dataset, lambda c: c["training"][0].update({field: value}))
    errors = [f for f in check_dataset(dataset, progress=False) if f.severity == "error"]
    assert any(field in f.found for f in errors)


def test_a_mask_of_values_that_are_no_classes_is_said_to_be_that(dataset):
    Image.fromarray(np.full((20, 18), 4000, np.uint16)).save(dataset / "test/mask/v.png")
    (fault,) = [f for f in check_dataset(dataset, progress=False) if f.kind == "unreadable mask"]
    assert (fault.found, fault.expected) == ("mask values [4000]", "0 to 255")
