from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torchrun
from monai.bundle import ConfigWorkflow
from PIL import Image
from scripts import BUNDLE_ROOT
from scripts.core.digest import file_sha256
from scripts.core.facts import DatasetFacts
from scripts.core.geometry import read_geometry
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_mask
from scripts.data.datalist import write_datalist
from scripts.evaluation.evaluate import test_entries as entries_of
from scripts.inference import load_model
from scripts.weights.description import FILES
from tiny import write_models

FACTS = DatasetFacts(classes=("a", "b", "c"), mpp=0.5)


def test_entries_say_their_pixel_size_or_have_the_datasets():
    entries = [
        {"name": "a", "image": "a.png", "mask": "m.png", "mpp": 0.25, "group": "x"},
        {"name": "b", "image": "b.png", "mask": "n.png"},
        {"name": "c", "image": "c.png", "mask": None},
    ]
    kept = [e["entry"] for e in entries_of(entries, 0.5)]
    assert [e["mpp"] for e in kept] == [(0.25, 0.25), (0.5, 0.5)] and set(kept[0]) == {"name", "image", "mask", "mpp"}
    assert "mpp" not in entries_of(entries)[1]["entry"]
    with pytest.raises(ValueError, match=r"a\.png: mpp.*0\.01 to 100"):
        entries_of([{**entries[0], "mpp": 0}])


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_images_of_other_pixel_sizes_are_scored_at_the_weights(tmp_path, monkeypatch, tmp_path_factory, mpp):
    """Of the dataset, or of one entry: its label map is that of inference, of its own size."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.getbasetemp()}/mlruns.db")
    models, rng = write_models(tmp_path / "models", FACTS), np.random.default_rng(0)
    for name, size in (("same", (40, 48)), ("fine", (80, 96))):
        image = Image.fromarray(rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
        write_image(tmp_path / f"data/{name}.png", np.asarray(image))
        write_mask(tmp_path / f"data/{name}_mask.png", rng.integers(0, 3, size), FACTS)
    entries = [{"image": f"{name}.png", "mask": f"{name}_mask.png"} for name in ("same", "fine")]
    entries[1]["mpp"] = 0.25
    write_datalist(tmp_path / "data/datalist.json", DatasetFacts(classes=FACTS.classes, mpp=mpp), {"test": entries})
    workflow = ConfigWorkflow(
        str(Path(BUNDLE_ROOT) / "configs/evaluate.yaml"), workflow_type=None, logging_file=False, progress=False, amp=False,
        dataset_dir=str(tmp_path / "data"), output_dir=str(tmp_path), model_dir=str(models), device="cpu",
    )  # fmt: skip
    workflow.initialize()
    workflow.run()
    model = load_model(models, "cpu", gated=False, amp=False)
    for name, size in (("same", mpp), ("fine", 0.25)):
        found = read_mask(tmp_path / f"evaluate/label_maps/segmenter/{name}.png")
        assert np.array_equal(found, model.segment(tmp_path / f"data/{name}.png", mpp=size).label_map)
    scores = json.loads((tmp_path / "evaluate/metrics.json").read_text())
    assert sum(scores["scores"]["segmenter"]["pixels"].values()) == 40 * 48 + 80 * 96
    weights = {kind: file_sha256(models / name) for kind, name in FILES.items()}
    assert scores["measured_on"] == {"dataset": "dataset", "section": "test", "weights": weights, "images": 2}
    assert read_geometry(tmp_path / "evaluate/label_maps/segmenter/fine.png").mpp == (0.25, 0.25)


def test_two_processes_score_what_one_does(tmp_path):
    models, rng = write_models(tmp_path / "models", FACTS), np.random.default_rng(0)
    for name in "xyz":
        write_image(tmp_path / f"data/{name}.png", rng.integers(0, 255, (40, 48, 3), dtype=np.uint8))
        write_mask(tmp_path / f"data/{name}_mask.png", rng.integers(0, 3, (40, 48)), FACTS)
    write_datalist(
        tmp_path / "data/datalist.json", FACTS, {"test": [{"image": f"{n}.png", "mask": f"{n}_mask.png"} for n in "xyz"]}
    )
    places = {"dataset_dir": str(tmp_path / "data"), "model_dir": str(models), "progress": False, "amp": False}
    found = {}
    for count in (1, 2):
        torchrun.run("evaluate", {**places, "output_dir": str(tmp_path / str(count))}, count)
        found[count] = json.loads((tmp_path / f"{count}/evaluate/metrics.json").read_text())
    assert list(found[1]["images"]) == list("xyz") and found[2] == found[1]
    assert (tmp_path / "2/evaluate/report.html").is_file()
