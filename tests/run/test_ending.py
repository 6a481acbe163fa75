from __future__ import annotations

from pathlib import Path

import pytest
from scripts.run.ending import made, score_table


def _scores(*values):
    miou, fwiou, a, b = values
    return {"miou": miou, "fwiou": fwiou, "iou": {"a": a, "b": b}}


def test_the_table_has_percentages_and_published_figures():
    results = {"scores": {"segmenter": _scores(0.5, 0.625, 0.75, 0.25), "segmenter + gate": _scores(0.5, None, 0.5, None)}}
    assert score_table(results, {"paper": [70.0, 70.0], "best": [75.25, 77.0]}).splitlines() == [
        "                   mIoU  FwIoU  IoU a  IoU b",
        "segmenter          50.0   62.5   75.0   25.0",
        "segmenter + gate   50.0      -   50.0      -",
        "published mIoU 70.0: paper",
        "published mIoU 75.2 to 77.0: best",
    ]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my models/classifier.pt", "my models/model.pt", "out/train/history.json", "out/pseudo_masks/x"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return "data", "out", "my models"


def test_what_stages_have_made_is_listed_where_it_is(folders, tmp_path):
    _, out, models = folders
    assert made(out, models, ["train_classifier", "generate_pseudo_masks", "train"]).splitlines() == [
        f"classifier    {tmp_path}/my models/classifier.pt",
        f"pseudo masks  {tmp_path}/out/pseudo_masks",
        f"segmenter     {tmp_path}/my models/model.pt",
        f"training      {tmp_path}/out/train/history.json",
    ]
    assert made(out, models, ["evaluate"]) == made(out, models, ["report"]) == ""
    Path("out/report").mkdir()
    Path("out/report/report.html").touch()
    assert made(out, models, ["report"]) == f"report        {tmp_path}/out/report/report.html"
