"""At which probability a class may be gated: what the classifier gives it in held-out patches that name it decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from ignite.engine import Engine

from .engines import logits_and_image_labels
from .whole_set import WholeSet

__all__ = ["GATE_SCORE", "GateThresholds", "gate_thresholds"]

#: What the names of the scores begin with, before that of the class.
GATE_SCORE = "gate_threshold."


def gate_thresholds(probabilities: np.ndarray, labels: np.ndarray, highest: float, missed: float) -> list[float]:
    """The highest threshold of each class, up to ``highest``, that gates it in few of the patches that name it.

    A threshold for all classes takes those away that a classifier is seldom sure of, and with them more than it mends.

    Args:
        probabilities: ``(N, C)`` of held-out patches, in [0, 1].
        labels: ``(N, C)`` of 0 and 1.
        highest: threshold of a class that is found well, or that no patch names, in [0, 1).
        missed: share of the patches that name a class in which it may be gated, in [0, 1).

    Returns:
        C thresholds in [0, highest]: a class is gated where its probability is at most that.
    """
    found = []
    for probability, label in zip(np.asarray(probabilities).T, np.asarray(labels).T, strict=True):
        named = np.sort(probability[label > 0].astype(np.float64))
        if len(named):
            # at most so many of the sorted ones lie at or below a value that is less than the next
            highest_of_class = math.nextafter(named[math.floor(missed * len(named))], 0.0)
            found.append(min(highest, max(0.0, highest_of_class)))
        else:
            found.append(highest)
    return found


class GateThresholds(WholeSet):
    """:func:`gate_thresholds` of a validation, as an Ignite metric: its value is the lowest, and the engine's metrics get
    ``gate_threshold.<class>`` for each class.

    Args:
        classes: C names.
        highest: see :func:`gate_thresholds`.
        missed: see :func:`gate_thresholds`; ``None``: nothing is measured, the threshold is that of the weights.
    """

    def __init__(self, classes: Sequence[str], highest: float = 0.1, missed: float | None = 0.05) -> None:
        self.classes = list(classes)
        self.highest = highest
        self.missed = missed
        self.thresholds: list[float] = []
        super().__init__(self._lowest, output_transform=logits_and_image_labels)

    def completed(self, engine: Engine, name: str) -> None:
        """Put the threshold of each class into the engine's metrics, and nothing else."""
        if self.missed is None:
            return
        self.compute()
        pairs = zip(self.classes, self.thresholds, strict=True)
        engine.state.metrics.update({f"{GATE_SCORE}{label}": threshold for label, threshold in pairs})

    def _lowest(self, logits: torch.Tensor, labels: torch.Tensor) -> float:
        probabilities = torch.sigmoid(logits.float()).cpu().numpy()
        self.thresholds = gate_thresholds(probabilities, labels.cpu().numpy(), self.highest, self.missed or 0.0)
        return min(self.thresholds)
