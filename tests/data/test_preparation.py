from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_image, read_mask
from scripts.data.datalist import read_datalist
from scripts.data.layouts import _OWN, register_layout
from scripts.data.prepare import prepare

FACTS = DatasetFacts(classes=("a", "b"))
ROIS = {"layout": "rois", "dataset": FACTS.to_dict(), "patch_size": 16}
TABLE = "image,a,b\n" + "".join(f"p{i}.png,{i % 2},{1 - i % 2}\n" for i in range(6))


def _keep_stamp(path, change):
    """Change a file, its size and its time staying as they were."""
    stat = path.stat()
    change(path)
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def _noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def _raw_mask(path, mask):
    """A mask of a size that does not depend on its values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"ObjectType = Image\nNDims = 2\nDimSize = 32 32\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    path.write_bytes(header + np.asarray(mask, np.uint8).tobytes())


@pytest.fixture
def patches(tmp_path):
    """Patches, a table, and test images with masks."""
    raw = tmp_path / "raw"
    for i in range(6):
        write_image(raw / f"p{i}.png", _noise(i))
    (raw / "labels.csv").write_text(TABLE)
    for i in range(2):
        write_image(raw / f"test/img/t{i}.png", _noise(10 + i))
        _raw_mask(raw / f"test/mask/t{i}.mha", np.full((32, 32), i))
    return raw


@pytest.fixture
def regions(tmp_path):
    """Regions with masks."""
    for i in range(4):
        write_image(tmp_path / f"raw/images/r{i}.png", _noise(i))
        _raw_mask(tmp_path / f"raw/masks/r{i}.mha", np.eye(32))
    return tmp_path / "raw"


def _prepare(source, target, **settings):
    return prepare(
        source, target, **{"dataset": {"white_background": False}, "layout": "patches", "progress": False, **settings}
    )


def _swap(first, second):
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])


CHANGES = {
    "a corrected table": (
        lambda raw: _keep_stamp(raw / "labels.csv", lambda p: p.write_text(TABLE.replace("p0.png,0,1", "p0.png,1,1"))),
        "changed: 1 file (labels.csv)",
    ),
    "columns that change places": (
        lambda raw: _keep_stamp(raw / "labels.csv", lambda p: p.write_text(TABLE.replace("image,a,b", "image,b,a"))),
        "changed: 1 file (labels.csv)",
    ),
    "a mask painted again": (
        lambda raw: _keep_stamp(raw / "test/mask/t1.mha", lambda p: _raw_mask(p, np.eye(32))),
        "changed: 1 mask (test/mask/t1.mha)",
    ),
    "images that change places": (lambda raw: _swap(raw / "p1.png", raw / "p2.png"), "changed: 2 images (p1.png, p2.png)"),
    "an image more": (lambda raw: write_image(raw / "test/img/t2.png", _noise(20)), "new: 1 image (test/img/t2.png)"),
    "a mask less": (lambda raw: (raw / "test/mask/t0.mha").unlink(), "gone: 1 mask (test/mask/t0.mha)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_whose_content_changed_is_another_one_and_the_message_says_what(patches, tmp_path, change):
    datalist = _prepare(patches, tmp_path / "set")
    before = datalist.read_bytes()
    CHANGES[change][0](patches)
    with pytest.raises(FileExistsError) as error:
        _prepare(patches, tmp_path / "set")
    assert CHANGES[change][1] in str(error.value) and "overwrite" in str(error.value)
    assert datalist.read_bytes() == before
    _prepare(patches, tmp_path / "set", overwrite=True)
    _prepare(patches, tmp_path / "set")  # now it is that source


def test_the_new_labels_are_those_of_the_corrected_table(patches, tmp_path):
    _prepare(patches, tmp_path / "set")
    (patches / "labels.csv").write_text(TABLE.replace("p0.png,0,1", "p0.png,1,1"))
    _prepare(patches, tmp_path / "set", overwrite=True)
    entries = [e for s in ("training", "validation") for e in read_datalist(tmp_path / "set", s)]
    assert {e["name"]: e["label"] for e in entries}["p0"] == [1, 1]


def test_regions_count_by_content_too(regions, tmp_path):
    _prepare(regions, tmp_path / "set", **ROIS)
    _keep_stamp(regions / "masks/r2.mha", lambda p: _raw_mask(p, 1 - np.eye(32)))
    with pytest.raises(FileExistsError, match=r"changed: 1 mask \(masks/r2.mha\)"):
        _prepare(regions, tmp_path / "set", **ROIS)


def test_a_table_outside_the_source_counts(patches, tmp_path):
    table = tmp_path / "raw" / "other.csv"
    table.write_text(TABLE)
    _prepare(patches, tmp_path / "set", labels=str(table))
    _keep_stamp(table, lambda p: p.write_text(TABLE.replace("p0.png,0,1", "p0.png,1,1")))
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(other.csv\)"):
        _prepare(patches, tmp_path / "set", labels=str(table))


def test_images_that_a_datalist_names_count_and_so_does_the_datalist(tmp_path):
    write_image(tmp_path / "elsewhere/p.png", _noise(0))
    write_image(tmp_path / "elsewhere/q.png", _noise(1))
    entries = [{"image": str(tmp_path / f"elsewhere/{n}.png"), "label": [1, 0]} for n in "pq"]
    source = tmp_path / "list.json"
    source.write_text(json.dumps({"classes": ["a", "b"], "white_background": True, "training": entries}))
    settings = {"layout": "datalist", "dataset": {}}
    _prepare(source, tmp_path / "set", **settings)
    _prepare(source, tmp_path / "set", **settings)
    _swap(tmp_path / "elsewhere/p.png", tmp_path / "elsewhere/q.png")
    with pytest.raises(FileExistsError, match="changed: 2 images"):
        _prepare(source, tmp_path / "set", **settings)
    _prepare(source, tmp_path / "set", overwrite=True, **settings)
    _keep_stamp(source, lambda p: p.write_text(p.read_text().replace("[1, 0]", "[0, 1]")))
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(list.json\)"):
        _prepare(source, tmp_path / "set", **settings)


def test_pixels_that_lie_beside_a_header_count(tmp_path):
    write_image(tmp_path / "raw/p.png", _noise(0))
    header = "NDims = 2\nDimSize = 32 32\nElementType = MET_UCHAR\nElementNumberOfChannels = 3\nElementDataFile = p.pixels\n"
    (tmp_path / "raw/q.mhd").write_text(header)
    (tmp_path / "raw/p.pixels").write_bytes(bytes(3 * 32 * 32))
    (tmp_path / "raw/labels.csv").write_text("image,a,b\np.png,0,1\nq.mhd,1,0\n")
    _prepare(tmp_path / "raw", tmp_path / "set")
    _keep_stamp(tmp_path / "raw/p.pixels", lambda p: p.write_bytes(bytes([1]) * (3 * 32 * 32)))
    with pytest.raises(FileExistsError, match=r"changed: 1 (image|file)"):
        _prepare(tmp_path / "raw", tmp_path / "set")


def test_the_file_of_a_layout_of_ones_own_counts(patches, tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.data.layouts._OWN", dict(_OWN))
    monkeypatch.setattr("scripts.data.raw.layout_file", lambda name: tmp_path / "mine.py")
    (tmp_path / "mine.py").write_text("first")

    @register_layout("mine")
    def mine(source, dataset):
        return FACTS, {"training": [{"image": p, "label": [1, 0]} for p in sorted(source.glob("p*.png"))]}

    _prepare(patches, tmp_path / "set", layout="mine")
    (tmp_path / "mine.py").write_text("other")
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(mine.py\)"):
        _prepare(patches, tmp_path / "set", layout="mine")


def test_the_place_does_not_count_however_it_is_written(patches, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _prepare("raw", "set")
    assert "test/img/t0.png" in json.loads((tmp_path / "set/source_files.json").read_text())
    (tmp_path / "link").symlink_to(patches)
    for source in (patches, "link", "../" + tmp_path.name + "/raw"):
        _prepare(source, tmp_path / "set")


def test_neither_place_nor_time_nor_what_is_not_read_counts(patches, tmp_path):
    stamp = _prepare(patches, tmp_path / "set").stat().st_mtime_ns
    (patches / "notes.txt").write_text("nothing that is read")
    (patches / "._p0.png").write_bytes(b"nor this")
    os.utime(patches / "p0.png", ns=(10**18, 10**18))
    assert _prepare(patches, tmp_path / "set", progress=False, overwrite=True).stat().st_mtime_ns == stamp
    moved = patches.rename(tmp_path / "moved")
    assert _prepare(moved, tmp_path / "set").stat().st_mtime_ns == stamp
    # settings of regions do nothing for patches
    assert _prepare(moved, tmp_path / "set", patch_size=64, image_folder="x").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seed": 1}, "setting seed was 0, is 1"),
        ({"value_range": [0, 4095]}, "setting value_range was None, is [0, 4095]"),
        ({"dataset": {"white_background": False, "mpp": 0.5}}, "setting dataset#mpp was None, is 0.5"),
    ],
)
def test_the_message_names_settings_that_changed(patches, tmp_path, settings, says):
    _prepare(patches, tmp_path / "set")
    with pytest.raises(FileExistsError) as error:
        _prepare(patches, tmp_path / "set", **settings)
    assert says in str(error.value) and "changed:" not in str(error.value)


@pytest.mark.parametrize("key", ["image_folder", "mask_folder"])
def test_folders_of_regions_count(tmp_path, key):
    for folder in ("images", "images2"):
        for i in range(3):
            write_image(tmp_path / f"raw/{folder}/r{i}.png", _noise(i + len(folder)))
    for folder in ("masks", "masks2"):
        for i in range(3):
            write_mask(tmp_path / f"raw/{folder}/r{i}.png", np.eye(32), FACTS)
    _prepare(tmp_path / "raw", tmp_path / "set", **ROIS)
    other = f"{key.split('_')[0]}s2"
    with pytest.raises(FileExistsError, match=f"setting {key} was '{other[:-1]}', is '{other}'"):
        _prepare(tmp_path / "raw", tmp_path / "set", **{key: other}, **ROIS)


def _as_version_0_5(source, target, settings):
    """The record that version 0.5 left in place of this one's."""
    digest = hashlib.sha256(str(source.absolute()).encode())
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(source)}|{path.stat().st_size}".encode())
    record = {
        "dataset": settings["dataset"], "layout": settings["layout"], "patch_size": [224, 224], "stride": None, "scale": 1.0,
        "label_threshold": 0.05, "val_fraction": 0.15, "test_fraction": 0.2, "seed": 0, "labels": None,
        "source": digest.hexdigest(),
    }  # fmt: skip
    (target / "prepare.json").write_text(json.dumps(record))
    (target / "source_files.json").unlink()
    (target / ".file_states.json").unlink()


def test_a_set_of_version_0_5_is_taken_over_and_known_by_content_from_then_on(patches, tmp_path):
    settings = {"dataset": {"white_background": False}, "layout": "patches"}
    stamp = _prepare(patches, tmp_path / "set").stat().st_mtime_ns
    _as_version_0_5(patches, tmp_path / "set", settings)
    assert _prepare(patches, tmp_path / "set").stat().st_mtime_ns == stamp
    _keep_stamp(patches / "labels.csv", lambda p: p.write_text(TABLE.replace("p0.png,0,1", "p0.png,1,1")))
    with pytest.raises(FileExistsError, match=r"labels\.csv"):
        _prepare(patches, tmp_path / "set")


def test_a_set_of_version_0_5_from_other_files_is_refused(patches, tmp_path):
    _prepare(patches, tmp_path / "set")
    _as_version_0_5(patches, tmp_path / "set", {"dataset": {"white_background": False}, "layout": "patches"})
    with pytest.raises(FileExistsError, match="setting seed was 0, is 1"):
        _prepare(patches, tmp_path / "set", seed=1)
    write_image(patches / "p0.png", _noise(99))
    write_image(patches / "test/img/t9.png", _noise(99))
    with pytest.raises(FileExistsError, match="other files, or files of other sizes"):
        _prepare(patches, tmp_path / "set")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_record_needs_overwrite(patches, tmp_path, text):
    _prepare(patches, tmp_path / "set")
    (tmp_path / "set/prepare.json").write_text(text)
    with pytest.raises(FileExistsError, match=r"prepare.json cannot be read"):
        _prepare(patches, tmp_path / "set")
    _prepare(patches, tmp_path / "set", overwrite=True)
    _prepare(patches, tmp_path / "set")


def test_a_set_of_another_format_of_the_preparation_is_said_to_be_that(patches, tmp_path, monkeypatch):
    _prepare(patches, tmp_path / "set")
    monkeypatch.setattr("scripts.data.preparation.FORMAT", 2)
    with pytest.raises(FileExistsError, match="format 1, this version makes format 2"):
        _prepare(patches, tmp_path / "set")


def test_what_is_prepared_and_cannot_be_written_serves(patches, tmp_path, monkeypatch):
    datalist = _prepare(patches, tmp_path / "set")
    module = importlib.import_module("scripts.data.prepare")
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    monkeypatch.setattr(module, "locked", lambda *_: pytest.fail("locked"))
    assert _prepare(patches, tmp_path / "set") == datalist


def test_images_of_an_in_place_set_stay_where_they_are(patches, tmp_path):
    _prepare(patches, tmp_path / "set")
    for section in ("training", "test"):
        for entry in read_datalist(tmp_path / "set", section, ("image",)):
            assert entry["image"].startswith(str(patches))
            assert read_image(entry["image"]).shape == (32, 32, 3)
    assert [read_mask(e["mask"]).max() for e in read_datalist(tmp_path / "set", "test", ("mask",))] == [0, 1]
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        ".file_states.json", "datalist.json", "prepare.json", "source_files.json",
    ]  # fmt: skip


@pytest.fixture
def layout_of_the_test():
    """A layout that has its labels from elsewhere; they change places where the list is reversed."""
    labels = [[1, 0], [0, 1]]

    @register_layout("of_the_test")
    def read(source, dataset):
        files = sorted(source.glob("*.png"))
        return FACTS, {"training": [{"image": p, "label": labels[i % 2], "group": p.stem} for i, p in enumerate(files)]}

    yield labels
    _OWN.pop("of_the_test")


def test_labels_that_a_layout_of_ones_own_has_from_elsewhere_count(patches, tmp_path, layout_of_the_test):
    datalist = _prepare(patches, tmp_path / "set", layout="of_the_test")
    assert _prepare(patches, tmp_path / "set", layout="of_the_test") == datalist
    layout_of_the_test.reverse()
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(what the layout says of them"):
        _prepare(patches, tmp_path / "set", layout="of_the_test")


def test_a_table_beside_an_archive_counts(patches, tmp_path):
    shutil.make_archive(str(tmp_path / "raw"), "zip", patches)
    table = tmp_path / "other.csv"
    table.write_text(TABLE)
    _prepare(tmp_path / "raw.zip", tmp_path / "set", labels=str(table))
    _keep_stamp(table, lambda p: p.write_text(TABLE.replace("image,a,b", "image,b,a")))
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(other.csv\)"):
        _prepare(tmp_path / "raw.zip", tmp_path / "set", labels=str(table))


def test_what_was_made_of_a_source_is_no_part_of_it(patches, tmp_path):
    """Earlier sets and runs that lie in the source."""
    (patches / "set_a").mkdir()
    for name in ("set_a/prepare.json", "run/train/stage.json"):
        (patches / name).parent.mkdir(parents=True, exist_ok=True)
        (patches / name).write_text("{}")
    (patches / "labels.csv").unlink()
    for i in range(6):
        (patches / f"p{i}.png").rename(patches / f"p{i}[{i % 2} {1 - i % 2}].png")
    for name in ("set_a/converted/images", "run/pseudo_masks/deep", "converted/images"):
        write_image(patches / name / "p0[0 1].png", _noise(0))
    settings = {"dataset": FACTS.to_dict(), "overwrite": True}
    content = json.loads(_prepare(patches, patches, **settings).read_text())
    entries = [e["image"] for s in ("training", "validation") for e in content[s]]
    assert sorted(entries) == [f"p{i}[{i % 2} {1 - i % 2}].png" for i in range(6)]


def test_files_that_a_user_put_into_a_made_folder_are_not_lost(regions, tmp_path):
    _prepare(regions, tmp_path / "set", **ROIS)
    note = tmp_path / "set/train/note.txt"
    note.write_text("mine")
    with pytest.raises(FileExistsError, match=r"1 files that prepare has not made.*note\.txt"):
        _prepare(regions, tmp_path / "set", **ROIS, seed=1, overwrite=True)
    assert note.read_text() == "mine"
    note.unlink()
    _prepare(regions, tmp_path / "set", **ROIS, seed=1, overwrite=True)


@pytest.mark.parametrize(
    "record", [{"settings": [1]}, {"made": 5}, {"made": [[1]]}, {"skipped": 5}, {"settings": {"dataset": 5}}]
)
def test_a_record_of_nonsense_is_another_dataset(patches, tmp_path, record):
    _prepare(patches, tmp_path / "set")
    (tmp_path / "set/prepare.json").write_text(json.dumps({"format": 1, **record}))
    with pytest.raises(FileExistsError, match="was prepared before from other files or with other settings"):
        _prepare(patches, tmp_path / "set")


@pytest.mark.parametrize(("value", "said"), [(None, True), (False, False)])
def test_white_of_a_datalist_that_is_null_is_not_said(tmp_path, value, said):
    write_image(tmp_path / "raw/p.png", np.full((16, 16, 3), 255, np.uint8))
    content = {"classes": ["a", "b"], "white_background": value, "training": [{"image": "p.png", "label": [1, 0]}]}
    (tmp_path / "raw/datalist.json").write_text(json.dumps(content))
    datalist = _prepare(tmp_path / "raw", tmp_path / "set", layout="datalist", dataset={})
    assert json.loads(datalist.read_text())["white_background"] is said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"labels": 5}, "labels: found 5, expected the path"),
        ({"labels": "t.csv", "layout": "luad"}, "'luad' reads no table"),
    ],
)
def test_a_table_that_nothing_can_be_made_of(patches, tmp_path, settings, says):
    with pytest.raises(ValueError, match=says):
        _prepare(patches, tmp_path / "set", **settings)


@pytest.mark.parametrize("converted", [False, True])
def test_a_datalist_is_not_replaced_by_what_is_made_of_it(tmp_path, converted):
    """Its own mask_values, and the masks that were converted, would be lost."""
    content = {"classes": ["a", "b"], "white_background": False, "mask_values": {"0": "a", "1": "b"}, "training": []}
    for i in range(2):
        write_image(tmp_path / f"raw/p{i}.png", _noise(i))
        _raw_mask(tmp_path / f"raw/m{i}.mha", np.eye(32))
        content["training"].append({"image": f"p{i}.png", "mask": f"m{i}.mha", "label": [1, 1]})
    source = tmp_path / "raw/datalist.json"
    source.write_text(json.dumps(content))
    if converted:
        source = _prepare(tmp_path / "raw", tmp_path / "set", layout="datalist", dataset={})
    before = {p: p.read_bytes() for p in source.parent.rglob("*") if p.is_file()}
    with pytest.raises(FileExistsError, match="is read and would be replaced"):
        _prepare(source.parent, source.parent, layout="datalist", dataset={}, seed=1, overwrite=True)
    assert {p: p.read_bytes() for p in source.parent.rglob("*") if p.is_file()} == before


def test_a_set_that_lies_among_the_images_of_regions_is_no_part_of_them(regions, tmp_path):
    datalist = _prepare(regions, regions / "images/set", **ROIS)
    other = _prepare(regions, tmp_path / "set", **ROIS)
    assert json.loads(other.read_text()) == json.loads(datalist.read_text())
