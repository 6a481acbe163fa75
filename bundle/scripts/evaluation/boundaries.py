"""How many pixels are wrong near the borders of tissues, and how many beyond."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

__all__ = ["DISTANCE", "Boundaries"]

#: Distance from a true border in px up to which a pixel is near it.
DISTANCE = 10.0


class Boundaries:
    """Counts wrong pixels near true borders and beyond them.

    A border is where two pixels that touch by a side have different true values, white background and what is not
    annotated included: where a person drew a line. People who outline tissue disagree by some pixels, so that errors near
    borders say less than errors within a tissue.

    Args:
        num_classes: number of tissue classes C; other values of the truth count nowhere.
        distance: up to which a pixel is near a border, in px, from the middle of the nearest pixel at the border.
    """

    def __init__(self, num_classes: int, distance: float = DISTANCE) -> None:
        self.num_classes = num_classes
        self.distance = distance
        self.counts = np.zeros((2, 2), np.int64)  # near and beyond; pixels and wrong ones

    def update(self, prediction: np.ndarray, truth: np.ndarray, near: np.ndarray | None = None) -> None:
        """Count a label map.

        Args:
            prediction: ``(H, W)`` integers.
            truth: ``(H, W)`` integers.
            near: ``(H, W)`` bool, of :meth:`near` for the same truth, where it is known.
        """
        tissue = truth < self.num_classes
        wrong = (prediction != truth)[tissue]
        close = (self.near(truth) if near is None else near)[tissue]
        for row, where in enumerate((close, ~close)):
            self.counts[row] += int(where.sum()), int(wrong[where].sum())

    def __iadd__(self, other: Boundaries) -> Boundaries:
        self.counts += other.counts
        return self

    def near(self, truth: np.ndarray) -> np.ndarray:
        """Pixels near a border, ``(H, W)`` bool."""
        border = np.zeros(truth.shape, bool)
        for one, other in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
            meet = truth[one] != truth[other]
            border[one] |= meet
            border[other] |= meet
        if not border.any():
            return border
        return distance_transform_edt(~border) <= self.distance

    def scores(self) -> dict[str, Any]:
        """``{"distance": px, "near": {"pixels": n, "wrong": n}, "beyond": the same}``."""
        rows = dict(zip(("near", "beyond"), self.counts.tolist(), strict=True))
        return {"distance": self.distance, **{k: {"pixels": v[0], "wrong": v[1]} for k, v in rows.items()}}
