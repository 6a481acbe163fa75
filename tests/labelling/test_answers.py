"""Tables of answers."""

from __future__ import annotations

import pytest
from scripts.labelling.answers import Answer, read_answers

HEAD = "image,group,position_y,position_x,seconds,annotator,cannot_tell,again,again_seconds"


def _write(path, *lines, classes='tumour,"fat, lobular"'):
    path.write_text("\n".join([f"{HEAD},{classes}", *lines]) + "\n", encoding="utf-8")
    return path


def test_a_table_as_the_page_exports_it(tmp_path):
    found = read_answers(_write(tmp_path / "labels.csv", "a.png,s1,0,32,2.5,Anna,0,1 0,1.5,1,1", "b.png,s1,,,,Anna,1,?,,,"))
    assert found.classes == ("tumour", "fat, lobular")
    assert found.rows == [
        Answer("a.png", (1, 1), 2.5, "Anna", (1, 0)),
        Answer("b.png", None, None, "Anna", ()),
    ]


def test_classes_are_read_in_the_order_that_is_asked_for(tmp_path):
    found = read_answers(_write(tmp_path / "labels.csv", "a.png,s1,,,,,0,1 0,,1,0"), ("fat, lobular", "tumour"))
    assert found.rows[0].label == found.rows[0].again == (0, 1)


@pytest.mark.parametrize(("line", "said"), [
    ("a.png,s1,,,,,0,,,2,0", "line 2, column 'tumour': found '2', expected 0 or 1"),
    ("a.png,s1,,,,,0,,,,0", "line 2, column 'tumour': found '', expected 0 or 1"),
    (",s1,,,,,0,,,1,0", "line 2: names no image"),
    ("a.png,s1,,,soon,,0,,,1,0", "column 'seconds': found 'soon'"),
    ("a.png,s1,,,-1,,0,,,1,0", "column 'seconds': found '-1'"),
    ("a.png,s1,,,,,0,1,,1,0", "column 'again': found '1', expected 2 values"),
    ("a.png,s1,,,,,0,,,1,0\na.png,s1,,,,,0,,,1,0", "line 3: 'a.png' is listed twice"),
])  # fmt: skip
def test_what_is_no_answer_is_named(tmp_path, line, said):
    with pytest.raises(ValueError, match=said):
        read_answers(_write(tmp_path / "labels.csv", line))


def test_tables_of_other_classes_are_refused(tmp_path):
    path = _write(tmp_path / "labels.csv", "a.png,s1,,,,,0,,,1,0")
    with pytest.raises(ValueError, match=r"found the classes \['tumour', 'fat, lobular'\], expected \['stroma'\]"):
        read_answers(path, ("stroma",))
    with pytest.raises(ValueError, match="expected one for each class"):
        read_answers(_write(tmp_path / "none.csv", "a.png,s1,,,,,0,,", classes="").rename(tmp_path / "n.csv"))
