"""Small weights of the bundle's own networks, packed, and unpacked in a folder that nobody may write."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from scripts.core.facts import DatasetFacts
from scripts.networks import DeepLabV3Plus, ResNet, ResNet38, TissueClassifier
from scripts.weights.description import describe
from scripts.weights.files import save_weights

FACTS = DatasetFacts(
    classes=("TUM", "STR", "LYM"), descriptions=("tumour", "stroma", "lymphocytes"), name="little set",
    white_background=True, mpp=0.5,
)  # fmt: skip
NAME = "little_segmentation"


def write_real_models(folder: str | Path, facts: DatasetFacts = FACTS, seed: int = 1) -> Path:
    """Weights of small networks that every copy of the bundle has, drawn by a seed."""
    torch.manual_seed(seed)
    folder = Path(folder)
    classifier = TissueClassifier(ResNet38(1 / 16), facts.num_classes)
    segmenter = DeepLabV3Plus(ResNet((1, 1, 1, 1), width=1 / 16), facts.num_classes, channels=8)
    content = describe(classifier, "classifier", facts, (32, 32), gate_threshold=0.1)
    save_weights(folder / "classifier.pt", classifier, content, {"epoch": 2, "mean_ap": 0.75, "gate_threshold.TUM": 0.1})
    content = describe(segmenter, "segmenter", facts, (32, 32), inference={"flips": False, "window_scales": [1.0]})
    save_weights(folder / "model.pt", segmenter, content, {"epoch": 3, "miou": 0.5, "temperature": 1.2})
    return folder


def unpacked(zip_file: Path, folder: Path) -> Path:
    """The one folder of a package, unpacked."""
    with zipfile.ZipFile(zip_file) as archive:
        archive.extractall(folder)
    return folder / NAME


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A tree that may not be written."""
    paths = [folder, *folder.rglob("*")]
    modes = {p: p.stat().st_mode for p in paths}
    for path in paths:
        os.chmod(path, modes[path] & ~0o222)
    try:
        yield
    finally:
        for path in paths:
            os.chmod(path, modes[path])
