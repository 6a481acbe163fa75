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


FAULTS = [
    ("classes", [], "expected a list of names"),
    ("classes", "ab", "classes: found 'ab', expected a list of names"),
    ("classes", {"a": 1}, "expected a list of names"),
    ("classes", ["a", "a"], "differ in more than blanks"),
    ("classes", ["a b", "ab"], "differ in more than blanks"),
    ("classes", ["a", " a "], "differ in more than blanks"),
    ("classes", ["a", " "], "none of them empty"),
    ("classes", ["a", 1], "classes: found 1, expected a text; write it in quotes"),
    ("classes", [True, "a"], "classes: found True, expected a text"),
    ("classes", ["a", ["b"]], "expected a text"),
    ("classes", ["a", "b\nc"], "in one line"),
    ("classes", ["a", "x" * 101], "at most 100 characters"),
    ("classes", [str(k) for k in range(251)], "at most 250"),
    ("name", 2024, "name: found 2024, expected a text"),
    ("palette", [[0, 0, 0]], "palette: found 1 colours, expected one"),
    ("palette", [[0, 0, 0], [0, 0, 300]], r"palette, colour 1: found \[0, 0, 300\], expected a list of 3, each a whole number from 0 to 255"),
    ("palette", [[0, 0, 0], [0, 0, 0.5]], "palette, colour 1"),
    ("palette", [[0, 0, 0], [0, 0, float("nan")]], "palette, colour 1"),
    ("palette", [[0, 0, 0], [0, True, 0]], "palette, colour 1"),
    ("palette", [[0, 0, 0], "red"], "palette, colour 1: found 'red'"),
    ("palette", "red", "palette: found 'red'"),
    ("palette", 7, "palette: found 7"),
    ("descriptions", ["x"], r"descriptions: found \['x'\], expected a list of 2 names"),
    ("descriptions", "xy", "descriptions: found 'xy'"),
    ("patch_size", [0, 4], r"patch_size, \(height, width\): found \[0, 4\], expected a list of 2, each a whole number from 8 to 4096 px"),
    ("patch_size", [1, 1], "patch_size"),
    ("patch_size", [100_000, 224], "patch_size"),
    ("patch_size", [224.5, 224], "patch_size"),
    ("patch_size", ["224", "224"], "patch_size"),
    ("patch_size", [True, 224], "patch_size"),
    ("patch_size", [224], "patch_size"),
    ("patch_size", 0, "patch_size"),
    ("patch_size", "", "patch_size"),
    ("mpp", "x", "mpp: found 'x', expected a number from 0.01 to 100 µm/px"),
    ("mpp", "0.5", "mpp: found '0.5'"),
    ("mpp", 0, "mpp: found 0"),
    ("mpp", -1.0, "mpp"),
    ("mpp", 0.001, "mpp"),
    ("mpp", 1000, "mpp"),
    ("mpp", 10**400, "mpp"),
    ("mpp", float("nan"), "mpp"),
    ("mpp", float("inf"), "mpp"),
    ("mpp", True, "mpp"),
    ("mpp", [0.5], "mpp"),
    ("label_threshold", 1.5, "label_threshold: found 1.5, expected a number from 0 to below 1"),
    ("label_threshold", float("nan"), "label_threshold"),
    ("label_threshold", "0.1", "label_threshold"),
    ("white_background", "some", "white_background: found 'some', expected True or False"),
    ("white_background", 2, "white_background"),
    ("white_background", [], "white_background"),
    ("published", {"x": [70, 60]}, "expected the lowest mIoU first"),
    ("published", {"x": [70]}, "published, 'x': found .*, expected a list of 2, each a number from 0 to 100 percent"),
    ("published", {"x": 70}, "published"),
    ("published", {"x": ["70", "80"]}, "published"),
    ("published", {"x": [float("nan"), 80]}, "published"),
    ("published", [70, 80], "published: found"),
    ("mask_values", [0, 1], "mask_values: found"),
    ("mask_values", {"1": "c"}, r"mask_values, value 1: found 'c', expected one of \['a', 'b'\], or null"),
    ("mask_values", {"1": 0}, "mask_values, value 1: found 0"),
    ("mask_values", {"-1": "a"}, "mask_values, a value: found '-1', expected a whole number from 0"),
    ("mask_values", {"1.5": "a"}, "mask_values, a value"),
    ("mask_values", {"tumour": "a"}, "mask_values, a value"),
    ("mask_values", {"1": "a", "01": "b"}, "the value 1 stands twice"),
    ("mask_values", {"0": None, "1": None}, "names no class"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "says"), FAULTS)
def test_faults_name_file_and_fact(tmp_path, key, value, says):
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"classes": ["a", "b"], key: value}))
    with pytest.raises(ValueError, match=says) as error:
        load_facts(tmp_path)
    message = str(error.value)
    assert message.startswith((f"{path}: {key}", f"{path}: dataset#{key}")) and len(message) < 500 and "\n" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "within each other"),
        ("{", "not readable"),
        ("[1]", "expected facts"),
        ("", "not readable"),
        ('{"mpp": 1' + "0" * 5000 + "}", "not readable"),
        ('{"name": "\\ud800", "classes": ["a"]}', "name"),
    ],
)
@pytest.mark.parametrize("name", ["datalist.json", "set.yaml"])
def test_files_that_hold_no_facts(tmp_path, text, says, name):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as error:
        load_facts(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name)) and (name == "set.yaml" or says in str(error.value))


def test_names_lose_the_blanks_around_them():
    facts = DatasetFacts(classes=(" tumour", "fat tissue "), mask_values={1: "tumour "})
    assert facts.classes == ("tumour", "fat tissue") and facts.mask_values == {1: "tumour"}


@pytest.mark.parametrize("values", [{2: "b", 0: None, 1: "a"}, {"2": "b", "0": None, "1": " a"}])
def test_mask_values_as_yaml_and_json_have_them(tmp_path, values):
    facts = DatasetFacts(classes=("a", "b"), mask_values=values)
    assert list(facts.mask_values.items()) == [(0, None), (1, "a"), (2, "b")]
    assert facts.to_dict()["mask_values"] == {"0": None, "1": "a", "2": "b"}
    path = tmp_path / "set.yaml"
    path.write_text("dataset: {classes: [a, b], mask_values: {0: null, 1: a, 2: b}}\n")
    assert load_facts(path) == DatasetFacts.from_dict(facts.to_dict()) == facts
    assert "mask_values" not in DatasetFacts(classes=("a",)).to_dict()


@pytest.mark.parametrize("mpp", [0.01, 0.25, 1, 100])
def test_sizes_that_tissue_has(mpp):
    facts = DatasetFacts(classes=("a",), mpp=mpp, patch_size=(8, 4096), label_threshold=0)
    assert (facts.mpp, facts.patch_size, facts.label_threshold) == (mpp, (8, 4096), 0)


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
