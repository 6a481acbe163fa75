from __future__ import annotations

import json

import pytest
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import read_datalist, write_datalist
from scripts.data.prepare import prepare

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
        ({"training": [{"image": "p.png", "label": [1, 0], "position": [0, 10**400]}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "position": [0, 1e300]}]}, "two whole numbers"),
        ({"training": [{"image": "p.png", "label": [1, 0], "group": ["r"]}]}, "found group"),
        ({"training": [{"image": "p.png", "label": [1, 0], "region": 0.5}]}, "found region"),
        ({"training": [{"image": "p.png", "label": [1, 0], "mpp": 0}]}, "mpp: found 0, expected a number from 0.01"),
        ({"training": [{"image": "p.png", "label": [1, 0], "mpp": "fine"}]}, "mpp: found 'fine'"),
        ({"training": [{"image": "p\0.png", "label": [1, 0]}]}, "entry 0: found image"),
        ({"training": [{"image": "p\udcff.png", "label": [1, 0]}]}, "entry 0: found image"),
        ({"training": [{"image": ["p.png"], "label": [1, 0]}]}, "expected the path of a file"),
        ({"training": [{"image": "p.png", "mask": 5, "label": [1, 0]}]}, "found mask 5"),
        ({"mask_values": {"1": "a", "2": "b"}, "training": []}, "no class indices yet; run prepare.yaml"),
        ("[" * 100_000, "JSON"),
        ('{"classes": ["a", "b"], "training": ' + "9" * 5000 + "}", "JSON"),
        ("[]", "expected an object"),
        (b"\xff\xfe{", "JSON"),
    ],
)
def test_faults(tmp_path, content, says):
    if isinstance(content, dict) and content:
        content = {"classes": ["a", "b"], **content}
    content = json.dumps(content) if isinstance(content, dict) else content
    (tmp_path / "datalist.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=says) as error:
        read_datalist(tmp_path, "training")
    assert "datalist.json" in str(error.value) and len(str(error.value)) < 500
    if "lacks" not in says and "mask_values" not in str(content):  # of which prepare makes something, for check to list
        with pytest.raises(ValueError, match=r"datalist\.json"):
            prepare(tmp_path, tmp_path / "set", layout="datalist")
    assert [p.name for p in tmp_path.iterdir()] == ["datalist.json"]


def test_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare"):
        read_datalist(tmp_path, "training")
