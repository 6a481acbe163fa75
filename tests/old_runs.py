"""Folders of runs as version 0.4 left them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.run.carried import earlier_fingerprint
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b"), mpp=0.5, patch_size=(32, 48), white_background=True)
NETWORKS = {
    "train_classifier": {
        "_target_": "scripts.classifier.TissueClassifier", "extractor": "@extractor", "num_classes": "$@facts.num_classes",
        "layer": "b", "pda": "@pda",
    },
    "train": {
        "_target_": "scripts.segmenter.DeepLabV3Plus", "extractor": "@extractor", "num_classes": "$@facts.num_classes",
        "high_layer": "c", "low_layer": "a", "channels": 8, "low_channels": 4, "rates": [1, 2],
    },
}  # fmt: skip


def write(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON or YAML, by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content, sort_keys=False))


def write_old_run(output: Path) -> Path:
    """What version 0.4 left of a classifier that was trained, and a segmenter in training; the data lie beside it."""
    models, data = output / "models", output.parent / "data"
    torch.manual_seed(0)
    models.mkdir(parents=True)
    torch.save(TissueClassifier(TinyExtractor(4), 2, "b").state_dict(), models / "classifier.pt")
    segmenter = DeepLabV3Plus(TinyExtractor(4), 2, "c", "a", channels=8, low_channels=4, rates=(1, 2))
    torch.save(segmenter.state_dict(), models / "model.pt")
    write(models / "classes.json", FACTS.to_dict())
    write(data / "datalist.json", FACTS.to_dict())
    write(output / "pseudo_masks/summary.json", {})
    write(output / "pipeline/config.yaml", {"recipe": "grad_cam", "seed": 3})
    for stage, state in (("train_classifier", "finished"), ("train", "running")):
        inputs = ["$@dataset_dir + '/datalist.json'"]
        files = [data / "datalist.json"]
        if stage == "train":
            inputs.append("$@pseudo_mask_dir + '/summary.json'")
            files.append(output / "pseudo_masks/summary.json")
        config = {
            "dataset_dir": str(data), "output_dir": str(output), "model_dir": str(models),
            "pseudo_mask_dir": "$@output_dir + '/pseudo_masks'", "seed": 3, "max_epochs": 4, "layers": ["x"],
            "extractor": {"_target_": "scripts.tiny.TinyExtractor", "width": 4},
            "pda": {"_target_": "scripts.pda.ProgressiveDropoutAttention"},
            "network_def": NETWORKS[stage], "stage": {"_target_": "scripts.stage.Stage", "name": stage, "inputs": inputs},
        }  # fmt: skip
        write(output / stage / "config.yaml", config)
        write(output / stage / "environment.json", {"seed": 3, "git_commit": "abc", "packages": {"torch": "2.6"}})
        known = {"stage": stage, "state": state, "run_id": None, "seconds": 7.0}
        write(output / stage / "stage.json", {**known, "fingerprint": earlier_fingerprint(config, files)})
        write(output / stage / "history.json", [{"epoch": k, "train_loss": 1.0, "val_miou": 0.1 * k} for k in (1, 2, 3)])
        torch.save({"best": {"score": 0.2, "epoch": 2}}, output / stage / "last.pt")
    return output
