"""Scores of label maps and of image-level labels, white background excluded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce

__all__ = ["ConfusionMatrix", "TissueScores", "classification_scores"]


class ConfusionMatrix:
    """Confusion matrix of a whole dataset: pixels of class ``i`` (row) predicted as ``j`` (column).

    One matrix over all pixels gives the scores of the literature; MONAI's metrics average per image. A last column counts
    tissue that was predicted as white background, so that it stays in every denominator.

    Args:
        num_classes: number of tissue classes C.

    Attributes:
        matrix: ``(C, C + 1)`` int64.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.matrix = np.zeros((num_classes, num_classes + 1), np.int64)

    def update(self, prediction: Any, truth: Any) -> None:
        """Count a label map.

        Args:
            prediction: integers of any shape; what is not in 0..C-1 is white background.
            truth: integers of the same shape; pixels not in 0..C-1 count nowhere.

        Raises:
            ValueError: shapes differ.
        """
        prediction, truth = _integers(prediction), _integers(truth)
        if prediction.shape != truth.shape:
            raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
        tissue = (truth >= 0) & (truth < self.num_classes)
        columns = self.num_classes + 1
        known = (prediction >= 0) & (prediction < self.num_classes)
        cells = truth[tissue] * columns + np.where(known, prediction, self.num_classes)[tissue]
        self.matrix += np.bincount(cells, minlength=self.matrix.size).reshape(self.matrix.shape)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        total = ConfusionMatrix(self.num_classes)
        total.matrix = self.matrix + other.matrix
        return total

    @classmethod
    def constant(cls, like: ConfusionMatrix, prediction: int) -> ConfusionMatrix:
        """The matrix of a guess that gives every pixel the same class, on the truth of another matrix."""
        guess = cls(like.num_classes)
        guess.matrix[:, prediction] = like.matrix.sum(axis=1)
        return guess

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        """All scores, as plain JSON types.

        Args:
            classes: C names.

        Returns:
            ``miou``, ``fwiou`` (IoU weighted by the class's share of the truth), ``pixel_accuracy``, ``mean_accuracy``,
            ``mean_f1``; per class under its name ``iou``, ``f1``, ``accuracy`` (recall), ``pixels`` (of the truth);
            ``confusion`` as rows. A class in neither prediction nor truth has ``None`` and is left out of means; one that
            is only predicted counts with IoU 0. Means of nothing are ``None``.
        """
        matrix = self.matrix.astype(np.float64)
        hits, truth = np.diag(matrix[:, : self.num_classes]), matrix.sum(axis=1)
        predicted = matrix[:, : self.num_classes].sum(axis=0)
        iou = _divide(hits, truth + predicted - hits)
        f1 = _divide(2 * hits, truth + predicted)
        accuracy = _divide(hits, truth)
        total = truth.sum()

        def named(values: np.ndarray) -> dict[str, float | None]:
            return {name: _number(value) for name, value in zip(classes, values, strict=True)}

        return {
            "miou": _mean(iou),
            "fwiou": _number(np.nansum(truth * np.nan_to_num(iou)) / total) if total else None,
            "pixel_accuracy": _number(hits.sum() / total) if total else None,
            "mean_accuracy": _mean(accuracy),
            "mean_f1": _mean(f1),
            "iou": named(iou),
            "f1": named(f1),
            "accuracy": named(accuracy),
            "pixels": {name: int(n) for name, n in zip(classes, truth, strict=True)},
            "confusion": self.matrix.tolist(),
        }


class TissueScores(Metric):
    """Dataset-level segmentation score as an Ignite metric; every other scalar score goes into the engine's metrics too.

    Args:
        num_classes: number of tissue classes.
        score: the figure that the metric is: ``"miou"``, ``"fwiou"``, ``"pixel_accuracy"``, ...
        names: of the scores among the engine's metrics, others of which are left out; all under their own by default.
        output_transform: engine output to (label maps predicted, true), each a list of ``(H, W)`` integer tensors.
    """

    def __init__(
        self,
        num_classes: int,
        score: str = "miou",
        names: Mapping[str, str] | None = None,
        output_transform: Callable = lambda output: output,
    ) -> None:
        self.num_classes = num_classes
        self.score = score
        self.names = names
        super().__init__(output_transform=output_transform)

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all pixels."""
        self.confusion = ConfusionMatrix(self.num_classes)
        self._matrix = torch.zeros(self.confusion.matrix.shape, dtype=torch.float64)

    @reinit__is_reduced
    def update(self, output: tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]) -> None:
        """Count label maps."""
        step = ConfusionMatrix(self.num_classes)
        for prediction, truth in zip(*output, strict=True):
            step.update(prediction, truth)
        self._matrix += torch.from_numpy(step.matrix)

    @sync_all_reduce("_matrix")
    def compute(self) -> float:
        """The score; 0 where there was no tissue."""
        self.confusion.matrix = self._matrix.numpy().astype(np.int64)
        self.scores = self.confusion.scores([str(k) for k in range(self.num_classes)])
        return float(self.scores[self.score] or 0.0)

    def completed(self, engine: Engine, name: str) -> None:
        super().completed(engine, name)
        found = {k: v for k, v in self.scores.items() if isinstance(v, float)}
        if self.names is not None:
            found = {name: found[score] for score, name in self.names.items() if score in found}
        engine.state.metrics.update(found)


def classification_scores(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], threshold: float = 0.5
) -> dict[str, Any]:
    """Multi-label scores.

    Args:
        probabilities: ``(N, C)`` in [0, 1].
        labels: ``(N, C)`` of 0 and 1.
        classes: C names.
        threshold: probability above which a class counts as present.

    Returns:
        ``exact_match`` (share of images whose labels are all right), ``macro_f1``, ``mean_ap``, and per class ``f1`` and
        ``ap`` (average precision, ties taken together). A class without a positive has ``None`` and is left out of means.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels).astype(bool)
    if probabilities.shape != labels.shape or probabilities.ndim != 2:
        raise ValueError(f"expected equal shapes (N, C), found {probabilities.shape} and {labels.shape}")
    found = probabilities > threshold
    hits = (found & labels).sum(axis=0).astype(np.float64)
    f1 = _divide(2 * hits, found.sum(axis=0) + labels.sum(axis=0).astype(np.float64))
    f1[labels.sum(axis=0) == 0] = np.nan
    ap = np.array([_average_precision(p, t) for p, t in zip(probabilities.T, labels.T, strict=True)])
    return {
        "exact_match": _number((found == labels).all(axis=1).mean()) if len(labels) else None,
        "macro_f1": _mean(f1),
        "mean_ap": _mean(ap),
        "f1": {name: _number(v) for name, v in zip(classes, f1, strict=True)},
        "ap": {name: _number(v) for name, v in zip(classes, ap, strict=True)},
    }


def _average_precision(probability: np.ndarray, label: np.ndarray) -> float:
    """Sum over thresholds of precision times the gain in recall."""
    if not label.any():
        return float("nan")
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(label[order])
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)  # end of each run of ties
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def _integers(values: Any) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return array.astype(np.int64)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator > 0)


def _mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
