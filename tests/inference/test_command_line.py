from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import write_datalist
from scripts.inference.command_line import next_command

FACTS = DatasetFacts(classes=("a", "b"))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my models/classifier.pt", "my models/model.pt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return "data", "out", "my models"


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
