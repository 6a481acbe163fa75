from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.image_writers import write_image
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
