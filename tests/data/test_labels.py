from __future__ import annotations

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


def test_table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image;b;a\np.png;1;0\nq.png;0;1\n\n")
    assert labels_from_csv(path) == (["b", "a"], {"p.png": [1, 0], "q.png": [0, 1]})
    assert labels_from_csv(path, ("a", "b"))[1] == {"p.png": [0, 1], "q.png": [1, 0]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected 'image'"),
        ("file,a\n", "expected 'image'"),
        ("image,a,b\n", "no rows"),
        ("image,a,c\nx,1,0\n", r"\['a', 'c'\]"),
        ("image,a,b\nx,1\n", "line 2: found 2 cells, expected 3"),
        ("image,a,b\nx,1,2\n", "line 2, column 'b': found '2'"),
        ("image,a,b\nx,1,0\nx,1,0\n", "listed twice"),
    ],
)
def test_table_faults(tmp_path, text, says):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as error:
        labels_from_csv(path, ("a", "b"))
    assert "labels.csv" in str(error.value)
