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
