"""Label maps of slides, made for the tests."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scripts.core.facts import DatasetFacts

FACTS = DatasetFacts(classes=["tumour", "stroma", "necrosis"], palette=[[200, 0, 0], [0, 180, 0], [0, 0, 220]])
WHITE = FACTS.white_value


class Rows:
    """Rows of an array, and how many were asked for at once at most."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.size, self.most = array, array.shape, 0

    def read(self, top: int, height: int) -> np.ndarray:
        self.most = max(self.most, height)
        return self.array[top : top + height]


def smooth_map(size: tuple[int, int] = (700, 900), sigma: float = 12, seed: int = 0) -> np.ndarray:
    """Classes as a network paints them, background, and a stripe that was not segmented."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal(size), sigma) for _ in range(4)]
    labels = np.argmax(fields, 0).astype(np.uint8)
    labels[40:60, 100:300] = 255
    return labels
