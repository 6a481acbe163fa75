"""Folders of rounds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from scripts.core.facts import DatasetFacts
from scripts.labelling.label_rounds import check_alike, find_rounds, next_round, read_round


def _round(folder, **changes):
    folder.mkdir(parents=True)
    content = {
        "format": 1, "set": "0" * 16, "order": [0], "dataset": DatasetFacts(("a", "b")).to_dict(),
        "patches": [{"image": "patches/x.png", "group": "g", "digest": "d"}], **changes,
    }  # fmt: skip
    (folder / "patches.json").write_text(json.dumps(content))


def test_rounds_are_found_in_their_order_or_one_is_taken_alone(tmp_path):
    for number in (10, 2, 1):
        _round(tmp_path / f"round_{number}")
    (tmp_path / "other").mkdir()
    assert [r.folder.name for r in find_rounds(tmp_path)] == ["round_1", "round_2", "round_10"]
    assert [r.folder.name for r in find_rounds(tmp_path / "round_2")] == ["round_2"]
    assert next_round(tmp_path).name == "round_11"
    assert next_round(tmp_path / "none").name == "round_1"


@pytest.mark.parametrize(("changes", "said"), [
    ({"format": 2}, "found format 2, expected 1"),
    ({"patches": 3}, "not as label.yaml writes it"),
    ({"dataset": {}}, "not as label.yaml writes it"),
    ({"patches": [{"image": "x.png", "digest": "d"}]}, "not as label.yaml writes it"),
    ({"patches": [{"image": "../x.png", "group": "g"}]}, "'../x.png' leaves the folder"),
    ({"patches": [{"image": "/etc/x.png", "group": "g"}]}, "'/etc/x.png' leaves the folder"),
])  # fmt: skip
def test_what_is_no_round_is_named(tmp_path, changes, said):
    _round(tmp_path / "round_1", **changes)
    with pytest.raises(ValueError, match=said):
        read_round(tmp_path / "round_1")


def test_a_truncated_file_is_named(tmp_path):
    _round(tmp_path / "round_1")
    path = tmp_path / "round_1" / "patches.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match=r"patches\.json: not as label.yaml writes it"):
        find_rounds(tmp_path)


@pytest.mark.parametrize(("changes", "said"), [
    ({"classes": ("a", "c")}, r"has classes \['a', 'c'\], the others \['a', 'b'\]"),
    ({"mpp": 0.25}, "has mpp 0.25, the others 0.5"),
    ({"patch_size": (96, 96)}, r"has patch_size \(96, 96\), the others \(48, 48\)"),
])  # fmt: skip
def test_rounds_of_other_patches_are_refused(tmp_path, changes, said):
    facts = DatasetFacts(("a", "b"), mpp=0.5, patch_size=(48, 48))
    _round(tmp_path / "round_1", dataset=facts.to_dict())
    _round(tmp_path / "round_2", dataset=replace(facts, **changes, palette=()).to_dict())
    check_alike(find_rounds(tmp_path)[:1], facts)
    with pytest.raises(ValueError, match=f"round_2: {said}"):
        check_alike(find_rounds(tmp_path), facts)
