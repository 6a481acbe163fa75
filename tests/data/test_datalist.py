from __future__ import annotations

import json

import pytest
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import read_datalist, write_datalist

FACTS = DatasetFacts(classes=("a", "b"))


def test_round_trip_with_absolute_paths_and_names(tmp_path):
    entries = [{"image": "x/p.png", "mask": "m/p.png", "label": [1, 0]}, {"image": "/abs/q.tif", "label": [0, 1]}]
    write_datalist(tmp_path / "datalist.json", FACTS, {"training": entries})
    first, second = read_datalist(tmp_path, "training")
    assert first["image"] == str(tmp_path / "x/p.png") and first["mask"] == str(tmp_path / "m/p.png")
    assert second["image"] == "/abs/q.tif" and [first["name"], second["name"]] == ["p", "q"]
    assert read_datalist(tmp_path / "datalist.json", "test") == []


def test_names_are_unique(tmp_path):
    entries = [{"image": i} for i in ("a/p.png", "b/p.png", "b/p.tif", "c.png")]
    write_datalist(tmp_path / "datalist.json", FACTS, {"test": entries})
    names = [e["name"] for e in read_datalist(tmp_path, "test", ("image",))]
    assert len(set(names)) == 4 and names[3] == "c"
    assert not any("/" in n for n in names)


def test_positions_are_integers(tmp_path):
    write_datalist(tmp_path / "datalist.json", FACTS, {"test": [{"image": "p.png", "position": [0.0, 16.0]}]})
    (entry,) = read_datalist(tmp_path, "test", ("image",))
    assert entry["position"] == [0, 16] and all(isinstance(v, int) for v in entry["position"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "JSON"),
        ({}, "classes"),
        ({"training": {}}, "list"),
        ({"training": [1]}, "entry 0"),
        ({"training": [{"image": "p.png"}]}, r"lacks \['label'\]"),
        ({"training": [{"image": "p.png", "label": [1]}]}, "expected 2"),
        ({"training": [{"image": "p.png", "label": [1, 2]}]}, "0 or 1"),
        ({"training": [{"image": "../p.png", "label": [1, 0]}]}, "leaves the folder"),
        ({"training": [{"image": "p.png", "label": [1, 0], "position": [0, 0.5]}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "position": ["0", "8"]}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "position": [0]}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "position": 5}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "group": ["r"]}]}, "found group"),
    ],
)
def test_faults(tmp_path, content, says):
    if isinstance(content, dict) and content:
        content = {"classes": ["a", "b"], **content}
    (tmp_path / "datalist.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=says) as error:
        read_datalist(tmp_path, "training")
    assert "datalist.json" in str(error.value)


def test_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare"):
        read_datalist(tmp_path, "training")
