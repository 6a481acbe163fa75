from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.data.labels import label_from_name, labels_from_csv


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("1031280-2300-27920-[1 0 0 1].png", [1, 0, 0, 1]),
        ("a[1,0,0,1].png", [1, 0, 0, 1]),
        ("a [0, 1, 1].png", [0, 1, 1]),
        ("TCGA-A1-A0SK-xmin45749+12345[1101].png", [1, 1, 0, 1]),
        ("b[1]-[010].jpg", [0, 1, 0]),
    ],
)
def test_published_names(name, label):
    assert label_from_name(name, len(label)) == label


@given(st.lists(st.integers(0, 1), min_size=1, max_size=12), st.sampled_from(["", " ", ",", ", "]))
def test_round_trip(label, separator):
    assert label_from_name(f"x-3[{separator.join(map(str, label))}].png", len(label)) == label


@pytest.mark.parametrize("name", ["plain.png", "a[12].png", "a[1 0 0 1] copy.png", "a[].png"])
def test_no_label(name):
    with pytest.raises(ValueError, match="found no label"):
        label_from_name(name, 4)


def test_wrong_length():
    with pytest.raises(ValueError, match="3 classes, expected 4"):
        label_from_name("a[1 0 1].png", 4)


def _write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def _labels(path, classes=()):
    names, rows = labels_from_csv(path, classes)
    return names, {row["image"]: row["label"] for row in rows}


def test_table(tmp_path):
    path = _write(tmp_path, "image;b;a\np.png;1;0\nq.png;0;1\n\n")
    assert _labels(path) == (["b", "a"], {"p.png": [1, 0], "q.png": [0, 1]})
    assert _labels(path, ("a", "b"))[1] == {"p.png": [0, 1], "q.png": [1, 0]}
    assert [row["line"] for row in labels_from_csv(path)[1]] == [2, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected 'image'"),
        ("file,a\n", "expected 'image'"),
        ("image,a,b\n", "no rows"),
        ("image,a,c\nx,1,0\n", r"found columns \['a', 'c'\].* lacks \['b'\]"),
        ("image,a,B \nx,1,0\n", r"is 'B' meant\?"),
        ("image,a,b\nx,1\n", "line 2: found 2 cells, expected 3"),
        ("image,a,b\nx,1,2\n", "line 2, column 'b': found '2'"),
        ("image,a,b\n,1,0\n", "line 2: names no image"),
        ("image,a,b,group\nx,1,0,\n", "line 2, column 'group': is empty"),
        ("image,a,b,position\nx,1,0,5\n", "line 2, column 'position': found '5', expected whole numbers"),
        ("image,a,b,y,x\nx,1,0,5,7.5\n", "line 2, column 'y': found '5 7.5'"),
        ("image,a,b,mpp\nx,1,0,0\n", "line 2, column 'mpp': found '0', expected a number from 0.01"),
        ("image,a,b,mpp\nx,1,0,fine\n", "line 2, column 'mpp': found 'fine'"),
    ],
)
def test_table_faults(tmp_path, text, says):
    with pytest.raises(ValueError, match=says) as error:
        labels_from_csv(_write(tmp_path, text), ("a", "b"))
    assert "labels.csv" in str(error.value)


@pytest.mark.parametrize("name", ["patient", "Patient ID", "case_id", "slide", "split", "fold", "age", "mask", "Unnamed: 5"])
def test_columns_that_are_no_tissue_by_their_name(tmp_path, name, caplog):
    """Even of 0 and 1."""
    caplog.set_level(logging.INFO)
    path = _write(tmp_path, f"image,tumour,{name},stroma\np.png,1,0,0\nq.png,0,1,1\n")
    assert _labels(path) == (["tumour", "stroma"], {"p.png": [1, 0], "q.png": [0, 1]})
    assert "classes taken from the table: tumour, stroma" in caplog.text and repr(name).strip("'") in caplog.text


def test_other_columns_are_ignored_where_the_classes_are_named_and_refused_where_not(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = _write(tmp_path, "image,grade,b,a\np.png,3,1,0\n")
    assert _labels(path, ("a", "b")) == (["a", "b"], {"p.png": [0, 1]})
    assert "columns that are not used: grade" in caplog.text
    with pytest.raises(ValueError, match=r"line 2, column 'grade': found '3'.*name those that are: --dataset"):
        labels_from_csv(path)
    assert _labels(_write(tmp_path, "image,patient,a\np.png,1,0\n"), ("patient", "a"))[1] == {"p.png": [1, 0]}


def test_classes_may_be_called_x_and_y(tmp_path):
    assert _labels(_write(tmp_path, "image,x,y\np.png,1,0\nq.png,0,1\n"))[0] == ["x", "y"]


@pytest.mark.parametrize(
    ("columns", "cells", "found"),
    [
        ("group", "c1", {"group": "c1"}),
        ("slide", "s1", {"group": "s1", "region": "s1"}),
        ("Slide Name,patient_id", "s1,7", {"group": "7", "region": "s1"}),
        ("group,roi,patient", "g,r,p", {"group": "g", "region": "r"}),
        ("position", '"(16, 400)"', {"position": [16, 400]}),
        ("position", "16 400", {"position": [16, 400]}),
        ("position_y,position_x", "16,400.0", {"position": [16, 400]}),
        ("x,y", "400,16", {"position": [16, 400]}),
        ("mpp", "0.5", {"mpp": 0.5}),
        ("mpp", '"0,5"', {"mpp": 0.5}),
        ("mpp", "", {}),
    ],
)
def test_what_a_table_says_beside_the_labels(tmp_path, columns, cells, found):
    (row,) = labels_from_csv(_write(tmp_path, f"image,a,{columns}\np.png,1,{cells}\n"))[1]
    assert row == {"image": "p.png", "label": [1], "line": 2, **found}


@pytest.mark.parametrize(
    "column",
    ["train", "is_train", "in_test", "valid", "Batch", "batch_no", "SampleID", "patientid", "PID", "specimen", "label"],
)
def test_columns_of_0_and_1_that_are_no_tissue(tmp_path, column):
    names, _ = _labels(_write(tmp_path, f"image,a,b,{column}\np,1,0,1\nq,0,1,0\n"))
    assert names == ["a", "b"]


@pytest.mark.parametrize("name", ["solid", "lymphoid", "mucoid", "id_like", "normal", "in situ", "island"])
def test_tissues_are_no_other_columns(tmp_path, name):
    assert _labels(_write(tmp_path, f"image,{name},b\np,1,0\nq,0,1\n"))[0] == [name, "b"]


@pytest.mark.parametrize("cell", ["1,000", "1.000", "2,048"])
def test_a_place_that_may_be_a_thousand_or_a_fraction_is_refused(tmp_path, cell):
    with pytest.raises(ValueError, match="expected whole numbers, y and x in px"):
        labels_from_csv(_write(tmp_path, f'image,a,b,y,x\np,1,0,"{cell}",0\n'))


@pytest.mark.parametrize("cell", ["1000", "1000.0", "1e3", "1000,0"])
def test_places_as_spreadsheets_write_them(tmp_path, cell):
    _, (row,) = labels_from_csv(_write(tmp_path, f'image,a,b,y,x\np,1,0,"{cell}",0\n'))
    assert row["position"] == [1000, 0]


def test_rows_of_which_somebody_could_not_tell_are_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    text = "image,seconds,annotator,cannot_tell,again,again_seconds,a,b\np,2.5,me,0,1 0,1.0,1,0\nq,1,me,1,,,,\n"
    names, rows = labels_from_csv(_write(tmp_path, text))
    assert names == ["a", "b"] and [(row["image"], row["label"]) for row in rows] == [("p", [1, 0])]
    assert "1 patches are left out" in caplog.text
    with pytest.raises(ValueError, match="no rows below the header that tell"):
        labels_from_csv(_write(tmp_path, "image,cannot_tell,a,b\nq,1,,\n"))
