from __future__ import annotations

import json

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.annotation_cost import annotation_cost, outline_length
from scripts.data.datalist import write_datalist

FACTS = DatasetFacts(classes=("a", "b"), mpp=0.5)


@pytest.fixture
def dataset(tmp_path):
    """Two patches of 4x6 px, one with a mask: three regions, of which two are of class a."""
    mask = np.ones((4, 6), np.uint8)
    mask[:, 0] = 0
    mask[1:3, 4] = 0
    for name in ("p", "q"):
        write_image(tmp_path / f"{name}.png", np.zeros((4, 6, 3), np.uint8))
    write_mask(tmp_path / "p_mask.png", mask, FACTS)
    entries = [{"image": "p.png", "mask": "p_mask.png", "label": [1, 1]}, {"image": "q.png", "label": [0, 1]}]
    write_datalist(tmp_path / "datalist.json", FACTS, {"training": entries})
    return tmp_path, mask


def test_outline_by_hand(dataset):
    assert outline_length(dataset[1]) == 4 + 6  # a straight border of four, and around two pixels
    assert outline_length(np.zeros((3, 3), np.uint8)) == 0
    assert outline_length(np.indices((3, 3)).sum(axis=0) % 2) == 12  # a chessboard: every inner edge


def test_table(dataset, capsys):
    folder, _ = dataset
    annotation_cost(folder, folder / "cost.json", seconds_per_patch=3.6, seconds_per_mm=7200, progress=False)
    rows = {(r["annotation"], r["unit"]): r["number"] for r in json.loads((folder / "cost.json").read_text())}
    assert rows == {
        ("patch labels", "patches"): 2,
        ("patch labels", "yes/no answers"): 4,
        ("patch labels", "tissues named"): 3,
        ("outlines", "pixels in these patches"): 48,
        ("outlines", "patches with a true mask"): 1,
        ("outlines", "regions"): 3,
        ("outlines", "outline in px"): 10,
        ("outlines", "outline in mm"): 0.0,  # 5 µm
        ("patch labels", "hours"): 0.0,
        ("outlines", "hours"): 0.02,  # 10 px * 0.5 µm = 0.005 mm, at two hours each, for two patches
    }
    assert "yes/no answers" in capsys.readouterr().out


def test_faults(dataset, tmp_path):
    folder, _ = dataset
    content = json.loads((folder / "datalist.json").read_text())
    (folder / "datalist.json").write_text(json.dumps({**content, "mpp": None}))
    with pytest.raises(ValueError, match="no mpp"):
        annotation_cost(folder, seconds_per_mm=1.0, progress=False)
    bare = [{k: v for k, v in e.items() if k != "mask"} for e in content["training"]]
    (folder / "datalist.json").write_text(json.dumps({**content, "training": bare}))
    with pytest.raises(ValueError, match="no training patch has a mask"):
        annotation_cost(folder, seconds_per_mm=1.0, progress=False)
    (folder / "datalist.json").write_text(json.dumps({**content, "training": []}))
    with pytest.raises(ValueError, match="training section is empty"):
        annotation_cost(folder, progress=False)


def test_times_that_a_label_page_measured(dataset, tmp_path, capsys):
    folder, _ = dataset
    (tmp_path / "one.csv").write_text('image,seconds,tumour,"a, b"\np1,2.0,1,0\np2,4,1,1\np3,,0,1\n')
    (tmp_path / "two.csv").write_text("image;seconds;tumour\np9;12,0;1\n")
    annotation_cost(folder, tmp_path / "cost.json", progress=False, labels=[tmp_path / "one.csv", tmp_path / "two.csv"])
    rows = {(r["annotation"], r["unit"]): r["number"] for r in json.loads((tmp_path / "cost.json").read_text())}
    assert rows["as measured", "patches"] == 3
    assert rows["as measured", "seconds per patch, median"] == 4.0
    assert rows["as measured", "minutes"] == 0.3
    assert rows["patch labels", "hours"] == 0.0  # two patches at six seconds
    assert "seconds per patch, median" in capsys.readouterr().out
    annotation_cost(folder, tmp_path / "cost.json", 3600, progress=False, labels=str(tmp_path / "one.csv"))
    rows = {(r["annotation"], r["unit"]): r["number"] for r in json.loads((tmp_path / "cost.json").read_text())}
    assert rows["patch labels", "hours"] == 2.0  # what is said counts above what was measured


@pytest.mark.parametrize(("text", "said"), [
    ("image,tumour\np,1\n", "expected 'seconds' among them"),
    ("image,seconds\np,soon\n", r"line 2, column 'seconds': found 'soon'"),
    ("image,seconds\np,-1\n", r"line 2, column 'seconds': found '-1'"),
    ("image,seconds\np,inf\n", r"line 2, column 'seconds': found 'inf'"),
])  # fmt: skip
def test_times_that_are_none_are_named(dataset, tmp_path, text, said):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        annotation_cost(dataset[0], progress=False, labels=tmp_path / "labels.csv")
