from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import write_datalist
from scripts.inference.inputs import inference_inputs
from scripts.inference.results import AREAS, made_from


def _files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def _found(source, folder, **settings):
    inputs = inference_inputs(source, folder, **settings)
    return [os.path.relpath(e["image"], source) for e in inputs.entries], inputs.faults


def test_a_folder_with_its_subfolders_and_links(tmp_path):
    images, other = tmp_path / "in", tmp_path / "other"
    _files(images, "a.png", "sub/b.TIF", "._a.png", ".hidden/c.png", "notes.txt")
    _files(other, "d.nii.gz")
    (images / "linked").symlink_to(other)
    (images / "round").symlink_to(images)
    (images / "gone.png").symlink_to(tmp_path / "nothing.png")
    found, faults = _found(images, tmp_path / "out")
    assert found == ["a.png", "linked/d.nii.gz", "sub/b.TIF"]
    assert len(faults) == 1 and "gone.png" in faults[0] and "nothing.png" in faults[0]


@contextmanager
def _no_root():
    """As a user who may not read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_subfolder_that_cannot_be_read_is_a_fault():
    with _no_root(), TemporaryDirectory() as folder:  # its own, as nobody else may enter those of pytest
        images = Path(folder, "in")
        _files(images, "a.png", "sub/b.png")
        (images / "sub").chmod(0)
        found, faults = _found(images, Path(folder, "out"))
        (images / "sub").chmod(0o755)
    assert found == ["a.png"] and len(faults) == 1 and f"{images / 'sub'}: cannot be searched" in faults[0]


def test_what_runs_wrote_is_left_out(tmp_path):
    images = tmp_path / "in"
    _files(images, "a.png", "run/inference/a_mask.png", "run/inference/a_overlay.png", "run/inference/deep/x.png")
    _files(images, "old/evaluate/gallery.png", "old/evaluate/stage.json", "old/pseudo_masks/b/x.png")
    _files(images, "old/pseudo_masks/fingerprint.txt", "old/mlruns/1/artifacts/gallery.png", "old/mlruns.db")
    _files(images, "copied/a_mask.png", f"copied/a{AREAS}", "copied/a_overlay.png", "copied/c_mask.png", "mlruns/mine.png")
    assert _found(images, images / "run/inference")[0] == ["a.png", "copied/c_mask.png", "mlruns/mine.png"]
    _files(images, "run/inference/stage.json")
    assert _found(images, tmp_path / "out")[0] == ["a.png", "copied/c_mask.png", "mlruns/mine.png"]
    assert _found(images / "run/inference/deep", tmp_path / "out")[0] == ["x.png"]  # what is asked for by name
    with pytest.raises(FileNotFoundError, match="found no image to segment"):
        _found(images / "old/mlruns/1/artifacts", images / "old/mlruns/1/artifacts")


def _datalist(folder, entries, mpp=None):
    write_datalist(folder / "datalist.json", DatasetFacts(classes=("a", "b"), mpp=mpp), {"test": entries})
    return folder / "datalist.json"


@pytest.mark.parametrize("common", [None, 1.0])
def test_a_datalist_says_pixel_sizes_and_has_paths_relative_to_itself(tmp_path, common):
    _files(tmp_path, "in/a.png", "in/sub/b.png", "in/c.png")
    entries = [{"image": "a.png", "mpp": 0.5}, {"image": "sub/b.png", "mpp": 0.25}, {"image": "c.png"}]
    path = _datalist(tmp_path / "in", [*entries, entries[0], {"image": "gone.png"}], common)
    inputs = inference_inputs(path, tmp_path / "out")
    assert [Path(e["image"]).name for e in inputs.entries] == ["a.png", "b.png", "c.png"]
    assert [e["entry"].get("mpp") for e in inputs.entries] == [(0.5, 0.5), (0.25, 0.25), common and (common, common)]
    assert len(inputs.faults) == 1 and "gone.png: no such file" in inputs.faults[0]


@pytest.mark.parametrize("mpp", [0, "x", [1], 1000])
def test_absurd_pixel_sizes_of_a_datalist_are_refused(tmp_path, mpp):
    _files(tmp_path, "a.png")
    with pytest.raises(ValueError, match=r"datalist\.json.*a\.png.*mpp.*0\.01 to 100"):
        inference_inputs(_datalist(tmp_path, [{"image": "a.png", "mpp": mpp}]), tmp_path / "out")


def test_a_table_says_pixel_sizes_and_has_paths_relative_to_itself(tmp_path):
    _files(tmp_path, "in/a.png", "in/sub/b.png", "c.png")
    table = tmp_path / "in/list.csv"
    table.write_text("Image;mpp;stain\na.png;0,5;HE\nsub/b.png;;HE\n../c.png;1;\ngone.png;1;\n", encoding="utf-16")
    inputs = inference_inputs(table, tmp_path / "out")
    assert [Path(e["image"]).name for e in inputs.entries] == ["a.png", "b.png", "c.png"]
    assert [e["entry"].get("mpp") for e in inputs.entries] == [(0.5, 0.5), None, (1.0, 1.0)]
    assert len(inputs.faults) == 1 and "gone.png: no such file" in inputs.faults[0]
    for cell in ("0", "x", "1000"):
        table.write_text(f"image,mpp\na.png,{cell}\n")
        with pytest.raises(ValueError, match=r"list\.csv, line 2, column mpp.*0\.01 to 100"):
            inference_inputs(table, tmp_path / "out")


def test_an_image_that_is_listed_twice_counts_once(tmp_path):
    _files(tmp_path, "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    names = [str(tmp_path / n) for n in ("a.png", "../" + tmp_path.name + "/a.png", "link.png")]
    inputs = inference_inputs(names, tmp_path / "out")
    assert [e["image"] for e in inputs.entries] == [names[0]] and not inputs.faults
    entries = [{"image": "a.png", "mpp": 0.5}, {"image": "a.png", "mpp": 0.25}]
    with pytest.raises(ValueError, match=r"a\.png: is listed twice"):
        inference_inputs(_datalist(tmp_path, entries), tmp_path / "out")


def test_what_is_done_is_left_out_until_it_changes(tmp_path):
    _files(tmp_path, "in/a.png", "in/b.png", "out/x")
    path = _datalist(tmp_path / "in", [{"image": "a.png", "mpp": 0.5}, {"image": "b.png"}])
    for e in inference_inputs(path, tmp_path / "out").entries:
        row = {"areas": {}, "made_from": made_from(e["entry"]), "fingerprint": "1"}
        (tmp_path / "out" / f"{e['entry']['name']}{AREAS}").write_text(json.dumps(row))

    def left(fingerprint="1"):
        return [e["entry"]["name"] for e in inference_inputs(path, tmp_path / "out", fingerprint).entries]

    assert left() == [] and left("2") == ["a", "b"]
    _files(tmp_path, "in/b.png/")
    (tmp_path / "in/b.png").write_bytes(b"changed")
    assert left() == ["b"]
    _datalist(tmp_path / "in", [{"image": "a.png", "mpp": 0.25}, {"image": "b.png"}])
    assert left() == ["a", "b"]


def test_two_folders_into_one_output_are_refused(tmp_path):
    _files(tmp_path, "one/x.png", "two/x.png", "out/y")
    row = {"areas": {}, "made_from": made_from({"image": tmp_path / "one/x.png"}), "fingerprint": "1"}
    (tmp_path / f"out/x{AREAS}").write_text(json.dumps(row))
    with pytest.raises(FileExistsError, match=r"one.x\.png.*two.x\.png.*another output_dir"):
        inference_inputs(tmp_path / "two", tmp_path / "out")


def test_names_that_are_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("the file system takes no such name")
    (tmp_path / os.fsdecode(b"gone\xe9.png")).symlink_to("nowhere")
    inputs = inference_inputs(tmp_path, tmp_path / "out")
    assert [e["entry"]["name"] for e in inputs.entries] == [r"caf\xe9"] and inputs.entries[0]["image"] == str(
        tmp_path / name
    )
    assert r"gone\xe9.png" in inputs.faults[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [("gone", "no such file or folder"), ("notes.md", "expected a folder"), ("notes.txt", "found header"), ("", "no image")],
)
def test_nothing_to_segment(tmp_path, name, says):
    _files(tmp_path, "in/notes.txt", "in/notes.md")
    with pytest.raises((FileNotFoundError, ValueError), match=says):
        inference_inputs(tmp_path / "in" / name, tmp_path / "out")
