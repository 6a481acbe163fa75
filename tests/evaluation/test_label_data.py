from __future__ import annotations

import json

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.datalist import write_datalist
from scripts.data.split import classifier_data
from scripts.evaluation.label_data import check_faults, labelled_data

FACTS = DatasetFacts(classes=("a", "b"))


@pytest.fixture
def dataset(tmp_path, rng):
    def write(validation=(), groups=("g0", "g1", "g2"), count=6):
        training = []
        for i in range(count):
            write_image(tmp_path / f"p{i}.png", rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
            training.append(
                {"image": f"p{i}.png", "label": [1, i % 2], **({"group": groups[i % len(groups)]} if groups else {})}
            )
        write_datalist(tmp_path / "datalist.json", FACTS, {"training": training, "validation": list(validation)})
        return tmp_path

    return write


@pytest.mark.parametrize(("holdout", "seed"), [(0.1, 0), (0.5, 3)])
def test_held_out_patches_are_those_of_the_trainings(dataset, holdout, seed):
    folder = dataset()
    found, trained = labelled_data(folder, holdout, seed), classifier_data(folder, holdout, seed)
    assert [e["name"] for e in found["training"]] == [e["name"] for e in trained["training"]]
    assert [e["entry"]["name"] for e in found["held_out"]] == [e["name"] for e in trained["validation"]]
    assert found["apart"] and not found["truth"]
    entry = found["training"][0]
    assert set(entry) == {"image", "name", "label", "group"} and entry["label"] == [1, int(entry["name"][1]) % 2]
    assert {e["group"] for e in found["training"]} < {"g0", "g1", "g2"}
    assert found["held_out"][0]["image"] == found["held_out"][0]["entry"]["image"]
    json.dumps(found)  # plain values


def test_patches_of_one_group_are_not_apart(dataset):
    found = labelled_data(dataset(groups=("only",)))
    assert not found["apart"] and len(found["held_out"]) == len(found["training"]) == 6


def test_patches_without_a_group_say_so(dataset):
    assert {e["group"] for e in labelled_data(dataset(groups=()))["training"]} == {None}


def test_a_validation_section_is_held_out_and_windows_of_its_regions_have_corners(dataset, tmp_path, rng):
    write_image(tmp_path / "v.png", rng.integers(0, 255, (16, 32, 3), dtype=np.uint8))
    write_mask(tmp_path / "v_mask.png", np.repeat([[0, 1]], 16, axis=1).repeat(16, axis=0), FACTS)
    found = labelled_data(dataset(validation=[{"image": "v.png", "mask": "v_mask.png"}]))
    assert found["truth"] and found["apart"] and len(found["training"]) == 6
    assert [(tuple(e["corner"]), e["entry"]["label"]) for e in found["held_out"]] == [((0, 0), [1, 0]), ((0, 16), [0, 1])]


@pytest.mark.parametrize("content", [None, "", "{}", "[3]", '[{"severity": "warning"}]'])
def test_a_check_that_cannot_be_read_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "dataset_check.json").write_text(content)
    assert check_faults(tmp_path) is None


def test_faults_are_those_of_the_check(tmp_path):
    fault = {"severity": "warning", "kind": "k", "file": "f", "found": "x", "expected": "y"}
    (tmp_path / "dataset_check.json").write_text(json.dumps([fault]))
    assert check_faults(tmp_path) == [fault]
