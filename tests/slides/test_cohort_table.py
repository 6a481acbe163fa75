"""The table over all slides of a folder."""

from __future__ import annotations

import csv
import sys

import pytest
from fake_slides import segment, write_slides
from scripts.slides import run_cohort
from scripts.slides.cohort_table import cohort_rows, write_cohort


@pytest.fixture
def folder(tmp_path):
    source = write_slides(tmp_path / "in", a="good", b="broken", **{"c<&>": "good"})
    with pytest.raises(SystemExit):
        run_cohort(source, segment, tmp_path / "out", fingerprint="f", progress=False)
    return tmp_path / "out"


def test_the_csv_has_a_row_for_each_slide(folder):
    with (folder / "cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["name"], r["state"], r["tumour mm2"], r["stroma percent"], r["tissue_mm2"]) for r in rows] == [
        ("a", "finished", "1.5", "25.0", "2.0"), ("b", "failed", "", "", ""), ("c<&>", "finished", "1.5", "25.0", "2.0"),
    ]  # fmt: skip
    assert "not a slide" in rows[1]["error"] and rows[0]["slide"].endswith("a.svs")


def test_parquet_holds_the_same_with_types(folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(folder / "cohort.parquet").to_pydict()
    assert table["name"] == ["a", "b", "c<&>"] and table["tumour mm2"] == [1.5, None, 1.5]


def test_without_pyarrow_the_others_are_written(folder, monkeypatch):
    (folder / "cohort.parquet").unlink()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert write_cohort(folder, "f") == 3
    assert not (folder / "cohort.parquet").exists() and (folder / "cohort.csv").is_file()


def test_results_of_other_settings_do_not_count(folder):
    assert cohort_rows(folder, "g") == [] and write_cohort(folder, "g") == 0
    assert "no slides" in (folder / "cohort.html").read_text(encoding="utf-8")
