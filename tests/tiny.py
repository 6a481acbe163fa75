"""A backbone small enough for tests, and a folder of weights on it."""

from __future__ import annotations

from pathlib import Path

import torch
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.extractor import FeatureExtractor
from scripts.networks.registry import register
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.weights.description import describe
from scripts.weights.files import save_weights
from torch import nn


@register()
class TinyExtractor(FeatureExtractor):
    """Three layers ``a``, ``b``, ``c`` of strides 4, 4 and 8."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, width, 3, stride=4, padding=1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU())
        self.channels = {"a": width, "b": width, "c": 2 * width}
        self.strides = {"a": 4, "b": 4, "c": 8}

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        features: dict[str, torch.Tensor] = {}
        a = self.emit(features, "a", self.a(image))
        b = self.emit(features, "b", self.b(a))
        self.emit(features, "c", self.c(b))
        return features


def write_models(folder: str | Path, facts: DatasetFacts, patch_size: tuple[int, int] = (32, 32)) -> Path:
    """``classifier.pt``, ``model.pt`` and their descriptions, of random weights drawn by a fixed seed."""
    torch.manual_seed(1)
    classifier = TissueClassifier(TinyExtractor(), facts.num_classes)
    segmenter = DeepLabV3Plus(TinyExtractor(), facts.num_classes, channels=8, low_channels=4, rates=(1, 2))
    folder = Path(folder)
    content = describe(classifier, "classifier", facts, patch_size, gate_threshold=0.1)
    save_weights(folder / "classifier.pt", classifier, content)
    content = describe(segmenter, "segmenter", facts, patch_size, inference={"flips": False, "window_scales": [1.0]})
    save_weights(folder / "model.pt", segmenter, content)
    return folder
