"""A backbone small enough for tests."""

from __future__ import annotations

import torch
from scripts.networks.extractor import FeatureExtractor
from torch import nn


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
