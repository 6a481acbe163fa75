"""The benchmark of the page to label on: all its figures are measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from browsers import find_browser

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import label_page

FIGURES = {
    "ready", "ready, half answered", "key: median", "key: 95th percentile", "kept: median", "kept: 95th percentile",
    "key, saving: median", "key, saving: 95th percentile", "kept, saving: median", "kept, saving: 95th percentile",
}  # fmt: skip


def test_every_figure_is_measured(tmp_path, capsys):
    words = ["--patches", "30", "--keys", "3", "--pace", "20", "--runs", "1", "--browser", find_browser()]
    assert label_page.main([*words, "--out", str(tmp_path / "record.json")]) == 0
    written = json.loads((tmp_path / "record.json").read_text())
    assert written["settings"]["patches"] == 30 and written["settings"]["browser"]
    (run,) = written["results"]["ms"]
    assert run.keys() == FIGURES == written["results"]["median_ms"].keys()
    assert all(value > 0 for value in run.values())
    assert "key: 95th percentile" in capsys.readouterr().out


def test_record_holds_what_the_page_promises():
    root = Path(__file__).resolve().parents[1]
    written = json.loads((root / "benchmarks/results/label_page.json").read_text())
    assert written["settings"]["patches"] == 20_000 and len(written["results"]["ms"]) == 3
    for run in written["results"]["ms"]:
        assert max(run["ready"], run["ready, half answered"]) <= 2000
        assert run["key: 95th percentile"] <= 50
