"""How far people agree, and with themselves."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scripts.labelling.answers import read_answers
from scripts.labelling.label_agreement import agreement_of, agreement_of_tables, self_agreement

HEAD = "image,seconds,annotator,cannot_tell,again,again_seconds,tumour,stroma\n"


def _table(path, who, rows):
    path.write_text(HEAD + "".join(f"{image},3,{who},{unsure},{again},,{a},{b}\n" for image, unsure, again, a, b in rows))
    return path


def test_kappa_of_a_known_table():
    # 20 of 50 both yes, 15 both no, 5 and 10 otherwise: Cohen's kappa 0.4
    a = [1] * 20 + [0] * 15 + [1] * 5 + [0] * 10
    b = [1] * 20 + [0] * 15 + [0] * 5 + [1] * 10
    labels = [{str(k): (value,) for k, value in enumerate(side)} for side in (a, b)]
    found = agreement_of(*labels, ("tumour",), ("Anna", "Ben"))
    assert found.kappa[0] == pytest.approx(0.4)
    assert found.equal[0] == pytest.approx(0.7) and found.named[0] == 35 and len(found.disputed) == 15


def test_where_all_say_the_same_kappa_is_not_told():
    found = agreement_of({"a": (1, 0)}, {"a": (1, 0)}, ("x", "y"), ("Anna", "Ben"))
    assert np.isnan(found.kappa).all() and found.rows()[0] == ["x", 1, "100.0%", "–"] and not found.disputed


def test_two_tables_are_compared_and_what_differs_most_comes_first(tmp_path, capsys):
    one = _table(
        tmp_path / "a.csv", "Anna", [("p1", 0, "", 1, 0), ("p2", 0, "", 1, 0), ("p3", 0, "", 0, 0), ("p4", 1, "", "", "")]
    )
    two = _table(
        tmp_path / "b.csv", "Ben", [("p1", 0, "", 1, 0), ("p2", 0, "", 1, 1), ("p3", 0, "", 1, 1), ("p4", 0, "", 1, 0)]
    )
    (found,) = agreement_of_tables([one, two], tmp_path / "talk.csv")
    assert found.patches == 3 and [image for image, *_ in found.disputed] == ["p3", "p2"]
    text = capsys.readouterr().out
    assert "Anna and Ben: 3 patches, 2 of which differ" in text and "p3: none of these | tumour, stroma" in text
    rows = list(csv.DictReader((tmp_path / "talk.csv").open()))
    assert rows[0] == {
        "image": "p3",
        "who": "Anna",
        "says": "none of these",
        "other": "Ben",
        "says otherwise": "tumour, stroma",
    }


def test_second_looks_give_the_agreement_with_oneself(tmp_path):
    path = _table(
        tmp_path / "a.csv",
        "Anna",
        [("p1", 0, "1 0", 1, 0), ("p2", 0, "1 1", 1, 0), ("p3", 0, "?", 1, 0), ("p4", 0, "", 1, 0)],
    )
    found = self_agreement(read_answers(path))
    assert found.patches == 2 and found.equal.tolist() == [1.0, 0.5] and found.disputed == [("p2", (1, 0), (1, 1))]


@pytest.mark.parametrize(("tables", "said"), [
    ([], "expected a list of tables"),
    (None, "expected a list of tables"),
    ("a.csv", "expected a list of tables"),
    (["once.csv"], "nobody looked twice"),
    (["once.csv", "others.csv"], "no patch has labels of both"),
    (["once.csv", "classes.csv"], r"classes.csv: found the classes \['fat'\], expected \['tumour', 'stroma'\]"),
])  # fmt: skip
def test_what_cannot_be_compared_is_said(tmp_path, tables, said):
    _table(tmp_path / "once.csv", "Anna", [("p1", 0, "", 1, 0)])
    _table(tmp_path / "others.csv", "Ben", [("q1", 0, "", 1, 0)])
    (tmp_path / "classes.csv").write_text("image,fat\np1,1\n")
    names = tables if not isinstance(tables, list) else [tmp_path / name for name in tables]
    with pytest.raises(ValueError, match=said):
        agreement_of_tables(names)
