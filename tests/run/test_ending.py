from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import write_datalist
from scripts.run.ending import made, next_command, score_table

FACTS = DatasetFacts(classes=("a", "b"))


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
    assert made(out, models, ["evaluate"]) == ""


@pytest.mark.parametrize("tested", [True, False])
def test_the_next_command_can_be_copied_to_any_folder(folders, tmp_path, tested):
    """It names the test images, or those that were trained on; spaces are quoted."""
    training = [{"image": "train/x.png", "label": [1, 0]}]
    write_datalist("data/datalist.json", FACTS, {"training": training, "test": [{"image": "y.png"}] if tested else []})
    words = shlex.split(next_command(*folders, own=["/a b.py"]))
    assert words[:4] == ["python", "-m", "monai.bundle", "run"]
    assert dict(zip(words[4::2], words[5::2], strict=True)) == {
        "--config_file": f"{BUNDLE_ROOT}/configs/inference.yaml",
        "--dataset_dir": f"{tmp_path}/data/{'datalist.json' if tested else 'train'}",
        "--output_dir": f"{tmp_path}/out",
        "--model_dir": f"{tmp_path}/my models",
        "--own": "['/a b.py']",
    }
    Path("my models/model.pt").unlink()
    assert next_command(*folders) is None
