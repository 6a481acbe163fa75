from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.errors import root_cause
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_image, read_mask
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare, prepare_settings
from scripts.data.rois import image_level_label

FACTS = DatasetFacts(classes=("a", "b"))


def _rois(folder, count=6, size=(40, 50)):
    rng = np.random.default_rng(1)
    for i in range(count):
        mask = np.zeros(size, np.uint8)
        mask[:, 10 + i :] = 1
        mask[:3] = 2
        write_image(folder / "images" / f"r{i}.png", rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        write_mask(folder / "masks" / f"r{i}.png", mask, FACTS)
    return folder


def _prepare(source, target, **settings):
    settings = {"dataset": FACTS.to_dict(), "patch_size": 16, "progress": False, **settings}
    return prepare(source, target, **settings)


def test_rois_become_patches_and_whole_regions(tmp_path):
    source = _rois(tmp_path / "raw")
    datalist = _prepare(source, tmp_path / "set", stride=8, label_threshold=0.1)
    content = json.loads(datalist.read_text())
    groups = {s: {e["group"] for e in content[s]} for s in ("training", "validation", "test")}
    assert {s: len(g) for s, g in groups.items()} == {"training": 4, "validation": 1, "test": 1}
    assert not groups["training"] & (groups["validation"] | groups["test"])
    assert len(content["training"]) == 4 * 4 * 6  # rows 0 8 16 24, columns 0 8 16 24 32 34
    for entry in read_datalist(tmp_path / "set", "training"):
        assert entry["label"] == image_level_label(read_mask(entry["mask"]), 2, 0.1)
        assert f"[{' '.join(map(str, entry['label']))}].png" in entry["image"]
        stem, y, x = entry["name"].split("[")[0].split("-")
        whole = read_image(source / "images" / f"{stem}.png")
        np.testing.assert_array_equal(read_image(entry["image"]), whole[int(y) : int(y) + 16, int(x) : int(x) + 16])
    (test,) = read_datalist(tmp_path / "set", "test")
    np.testing.assert_array_equal(read_image(test["image"]), read_image(source / "images" / f"{test['group']}.png"))
    assert load_facts(tmp_path / "set") == replace(FACTS, label_threshold=0.1)


def test_same_settings_do_nothing_others_are_refused(tmp_path):
    source = _rois(tmp_path / "raw")
    datalist = _prepare(source, tmp_path / "set")
    stamp = datalist.stat().st_mtime_ns
    assert _prepare(source, tmp_path / "set").stat().st_mtime_ns == stamp
    with pytest.raises(FileExistsError, match="other settings"):
        _prepare(source, tmp_path / "set", seed=1)
    assert datalist.stat().st_mtime_ns == stamp
    _prepare(source, tmp_path / "set", seed=1, overwrite=True)
    assert datalist.stat().st_mtime_ns != stamp


def test_broken_regions_are_skipped_and_named(tmp_path):
    source = _rois(tmp_path / "raw")
    broken = source / "images" / "r3.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(SystemExit, match=r"1 ROIs were skipped(.|\n)*r3\.png"):
        _prepare(source, tmp_path / "set")
    groups = {e["group"] for s in ("training", "validation", "test") for e in read_datalist(tmp_path / "set", s)}
    assert groups == {"r0", "r1", "r2", "r4", "r5"}


def test_failure_leaves_nothing(tmp_path):
    source = _rois(tmp_path / "raw")
    with pytest.raises(ValueError, match="label_threshold"):
        _prepare(source, tmp_path / "set", patch_size=[40, 50], label_threshold=0.99)
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]
    (source / "masks" / "r0.png").unlink()
    with pytest.raises(ValueError, match="r0"):
        _prepare(source, tmp_path / "set")


@pytest.mark.parametrize(("layout", "train", "label"), [("luad", "train", "[1 0]"), ("bcss", "training", "[10]")])
@pytest.mark.parametrize("archived", [False, True])
def test_published_layouts(tmp_path, layout, train, label, archived):
    raw, rgb = tmp_path / "published", np.full((16, 16, 3), 90, np.uint8)
    write_image(raw / train / f"s1-0-0{label}.png", rgb)
    write_image(raw / train / f"s1-0-16{label}.png", rgb)
    for section in ("val", "test"):
        write_image(raw / section / "img" / "p.png", rgb)
        write_mask(raw / section / "mask" / "p.png", np.zeros((16, 16)), FACTS)
    source = shutil.make_archive(str(tmp_path / "download"), "zip", tmp_path, "published") if archived else raw
    _prepare(source, tmp_path / "set", layout=layout)
    training = read_datalist(tmp_path / "set", "training")
    assert [e["label"] for e in training] == [[1, 0], [1, 0]] and {e["group"] for e in training} == {"s1"}
    (test,) = read_datalist(tmp_path / "set", "test", ("image", "mask"))
    assert read_mask(test["mask"]).shape == (16, 16)


def test_patches_with_a_table_name_their_own_classes(tmp_path):
    raw = tmp_path / "raw"
    rows = ["image," + ",".join("uvwxyz")]
    for i in range(12):
        write_image(raw / f"p{i}.png", np.full((16, 16, 3), i, np.uint8))
        rows.append(f"p{i}.png," + ",".join(str(int(k == i % 6)) for k in range(6)))
    (raw / "labels.csv").write_text("\n".join(rows))
    _prepare(raw, tmp_path / "set", layout="patches", dataset={}, val_fraction=0.2)
    assert load_facts(tmp_path / "set").classes == tuple("uvwxyz")
    assert (len(read_datalist(tmp_path / "set", "training")), len(read_datalist(tmp_path / "set", "validation"))) == (10, 2)


def test_datalist_layout(tmp_path):
    write_image(tmp_path / "raw" / "p.png", np.zeros((16, 16, 3), np.uint8))
    source = tmp_path / "raw" / "list.json"
    source.write_text(json.dumps({"training": [{"image": "p.png", "label": [1, 0]}]}))
    _prepare(source, tmp_path / "set", layout="datalist")
    (entry,) = read_datalist(tmp_path / "set", "training")
    assert read_image(entry["image"]).shape == (16, 16, 3)
    source.write_text(json.dumps({"training": [{"image": "../../etc/p.png", "label": [1, 0]}]}))
    with pytest.raises(ValueError, match="leaves the folder"):
        _prepare(source, tmp_path / "other", layout="datalist")


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"layout": "x"}, "layout"), ({"patch_size": 4}, "at least 8"), ({"scale": 0}, "scale"), ({"dataset": {}}, "classes")],
)
def test_settings_are_checked(tmp_path, settings, says):
    with pytest.raises(ValueError, match=says):
        _prepare(_rois(tmp_path / "raw"), tmp_path / "set", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strid": 8}, "prepare has no setting 'strid'; did you mean 'stride'?"),
        ({"dataset": {}}, "prepare has no setting 'dataset'; it has layout, patch_size"),
        ({"overwrite": "maybe"}, "prepare#overwrite: found 'maybe', expected True or False"),
    ],
)
def test_settings_that_there_are_not_name_the_nearest(settings, message):
    with pytest.raises(ValueError) as error:
        prepare_settings(settings)
    assert str(error.value).startswith(message)
    assert prepare_settings({"stride": 8, "overwrite": "no"}) == {"stride": 8, "overwrite": False}


def test_facts_that_there_are_not_name_the_nearest(tmp_path):
    source = _rois(tmp_path / "raw")
    for layout in ("rois", "luad", "patches", "datalist"):
        with pytest.raises(ValueError) as error:
            _prepare(source, tmp_path / "set", layout=layout, dataset={"classes": ["a", "b"], "white_backgroud": True})
        assert str(error.value) == "dataset has no setting 'white_backgroud'; did you mean 'white_background'?"
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]
    _prepare(source, tmp_path / "set", dataset={"classes": ["a", "b"], "white_background": "no"})
    assert load_facts(tmp_path / "set").white_background is False


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    config, source = Path(BUNDLE_ROOT) / "configs" / "prepare.yaml", str(_rois(tmp_path / "raw"))
    places = {"source": source, "dataset_dir": str(tmp_path / "set"), "dataset": FACTS.to_dict()}
    for overrides, message in (
        ({"prepare": {"strid": 8}}, "prepare has no setting 'strid'; did you mean 'stride'?"),
        ({"dataset": {"clases": ["a"]}}, "dataset has no setting 'clases'; did you mean 'classes'?"),
        ({"stride": 8}, "stride: prepare.yaml has no setting 'stride'; it has bundle_root, source"),
    ):
        workflow = ConfigWorkflow(config_file=str(config), workflow_type=None, logging_file=False, **{**places, **overrides})
        with pytest.raises(RuntimeError) as error:
            workflow.run()
        assert str(root_cause(error.value)).startswith(message)
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_the_command_ends_with_a_check_of_the_dataset(tmp_path):
    """A class that no patch has ends it, in the line that the check's report has."""
    config, source = Path(BUNDLE_ROOT) / "configs" / "prepare.yaml", str(_rois(tmp_path / "raw"))

    def run(name, classes):
        places = {"source": source, "dataset_dir": str(tmp_path / name), "dataset": {"classes": classes}}
        workflow = ConfigWorkflow(str(config), workflow_type=None, logging_file=False, prepare={"patch_size": 16}, **places)
        workflow.run()

    run("sound", ["a", "b"])
    assert (tmp_path / "sound/dataset_check.txt").read_text() == "no fault found\n"
    with pytest.raises((SystemExit, RuntimeError)) as error:
        run("lacking", ["a", "b", "white", "absent"])
    assert "class never present" in str(root_cause(error.value))
    assert "absent" in (tmp_path / "lacking/dataset_check.txt").read_text()


def test_no_source(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        _prepare(tmp_path / "absent", tmp_path / "set")


def test_regions_of_a_subfolder_are_on_one_side(tmp_path):
    source = _rois(tmp_path / "raw")
    for folder in ("images", "masks"):
        for i in range(6):
            path = source / folder / f"case{'abc'[i // 2]}" / f"r{i % 2}.png"
            path.parent.mkdir(exist_ok=True)
            (source / folder / f"r{i}.png").rename(path)
    content = json.loads(_prepare(source, tmp_path / "set").read_text())
    groups = {s: {e["group"] for e in content[s]} for s in ("training", "validation", "test")}
    assert sorted(map(len, groups.values())) == [1, 1, 1] and set().union(*groups.values()) == {"casea", "caseb", "casec"}
    (group,) = groups["test"]
    assert sorted(e["image"] for e in content["test"]) == [f"test/img/{group}/r{k}.png" for k in (0, 1)]
    assert {e["region"] for e in content["training"]} == {f"{g}/r{k}" for g in groups["training"] for k in (0, 1)}
