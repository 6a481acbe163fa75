from __future__ import annotations

import json

import pytest
from scripts.core.facts import DatasetFacts, load_facts


def test_defaults_follow_the_classes():
    facts = DatasetFacts(classes=("a", "b", "c"))
    assert (facts.num_classes, facts.white_value, len(facts.palette)) == (3, 3, 3)
    assert facts.descriptions == facts.classes
    assert len(set(facts.palette)) == 3


def test_round_trip(tmp_path):
    facts = DatasetFacts(classes=("a", "b"), palette=((1, 2, 3), (4, 5, 6)), mpp=0.5, patch_size=(112, 96))
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(facts.to_dict()))
    assert load_facts(tmp_path / "absent.json", path) == facts


def test_dataset_section_of_a_config(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("dataset: {name: x, classes: [p, q], white_background: true}\nprepare: {}\n")
    assert load_facts(path) == DatasetFacts(classes=("p", "q"), name="x", white_background=True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "different"),
        ({"classes": ["a", "b"], "palette": [[0, 0, 0]]}, "palette"),
        ({"classes": ["a"], "palette": [[0, 0, 300]]}, "palette"),
        ({"classes": ["a"], "descriptions": ["x", "y"]}, "descriptions"),
        ({"classes": ["a"], "patch_size": [0, 4]}, "patch_size"),
        ({"classes": ["a"], "label_threshold": 1.5}, "label_threshold"),
        ({"classes": ["a"], "published": {"x": [70, 60]}}, "published"),
        ({"classes": ["a"], "published": {"x": [70]}}, "published"),
        ({"classes": [str(k) for k in range(251)]}, "250"),
    ],
)
def test_faults_name_file_and_field(tmp_path, content, says):
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=says) as error:
        load_facts(tmp_path)
    assert "datalist.json" in str(error.value)


def test_a_dataset_section_holds_facts_alone_a_datalist_more(tmp_path):
    section = {"classes": ["p", "q"], "white_backgroud": True}
    path = tmp_path / "set.yaml"
    for content, meant in ((section, "white_background"), ({"clases": ["p"]}, "classes")):
        path.write_text(json.dumps({"dataset": content}))
        with pytest.raises(ValueError) as error:
            load_facts(path)
        (*_, key) = content
        assert str(error.value) == f"{path}: dataset has no setting {key!r}; did you mean {meant!r}?"
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({**section, "training": []}))
    assert load_facts(tmp_path) == DatasetFacts(classes=("p", "q"))


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("OFF", False), (0, False)])
def test_white_background_is_a_switch(word, meant):
    assert DatasetFacts.from_dict({"classes": ["p"], "white_background": word}).white_background is meant
    with pytest.raises(ValueError, match="set: dataset#white_background: found 'some', expected True or False"):
        DatasetFacts.from_dict({"classes": ["p"], "white_background": "some"}, "set")


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_facts(tmp_path / "absent.yaml")
