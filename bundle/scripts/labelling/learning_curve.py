"""What labels have brought so far, and what more of them promise: a learning curve on held-out slides.

The curve is that of a probe, which takes moments: ridge regression on features of a backbone that has seen no label. The
networks do better than it; how much of what can be learnt is learnt, it tells.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score

__all__ = ["LearningCurve", "learning_curve"]

_DRAWS = 24
_HELD = 0.3  # share of the groups that each draw holds out
_SMALLEST = 8  # labels
_STRENGTH = 100.0  # of the regularisation
_EXPONENTS = np.linspace(0.1, 2.0, 39)


@dataclass(frozen=True)
class LearningCurve:
    """Mean average precision over classes on held-out groups, by the number of labels.

    Args:
        labels: numbers of labelled patches.
        mean: ``(S,)`` in [0, 1].
        deviation: ``(S,)`` standard deviation over draws of what is held out.
        by_class: ``(S, C)`` average precision of each class; NaN where it cannot be told.
        total: labels there are; the curve ends before, as some are held out.
        limit, slope, exponent: of ``limit - slope * n ** -exponent``, fitted to the means, which count by labels.
    """

    labels: tuple[int, ...]
    mean: np.ndarray
    deviation: np.ndarray
    by_class: np.ndarray
    total: int
    limit: float
    slope: float
    exponent: float

    def at(self, count: float) -> float:
        """The fitted value for a number of labels."""
        return float(self.limit - self.slope * count**-self.exponent)

    def promise(self, more: int) -> float:
        """How much so many more labels are likely to add, in [0, 1]."""
        return max(0.0, self.at(self.total + more) - self.at(self.total))


def learning_curve(features: np.ndarray, labels: np.ndarray, groups: Sequence[str], seed: int = 0) -> LearningCurve | None:
    """Train the probe on growing numbers of labels, and score it on groups that are held out.

    Args:
        features: ``(N, D)``.
        labels: ``(N, C)`` of 0 and 1.
        groups: slide or case of each patch.
        seed: seed of the draws.

    Returns:
        The curve; ``None`` where there are too few labels or groups to tell: fewer than 16, or a single group.
    """
    names = np.unique(np.asarray(groups, str))
    if len(names) < 2 or len(labels) < 2 * _SMALLEST:
        return None
    rng = np.random.default_rng(seed)
    own = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    draws = [_draw(names, np.asarray(groups, str), rng) for _ in range(_DRAWS)]
    most = min(int((~held).sum()) for held in draws)
    if most < _SMALLEST:
        return None
    sizes = sorted({round(n) for n in np.geomspace(_SMALLEST, most, 7)})
    scores = np.full((_DRAWS, len(sizes), labels.shape[1]), np.nan)
    for k, held in enumerate(draws):
        order = rng.permutation(np.flatnonzero(~held))
        for j, size in enumerate(sizes):
            scores[k, j] = _scores(own, labels, order[:size], held)
    if np.isnan(scores).all():
        return None
    with warnings.catch_warnings():  # of classes that no draw tells
        warnings.simplefilter("ignore", RuntimeWarning)
        each, by_class = np.nanmean(scores, axis=2), np.nanmean(scores, axis=0)
    mean, deviation = np.nanmean(each, axis=0), np.nanstd(each, axis=0)
    return LearningCurve(tuple(sizes), mean, deviation, by_class, len(labels), *_fit(np.array(sizes, float), mean))


def _draw(names: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(N,)`` bool: patches of the groups that are held out."""
    count = min(len(names) - 1, max(1, round(_HELD * len(names))))
    return np.isin(groups, rng.permutation(names)[:count])


def _scores(features: np.ndarray, labels: np.ndarray, trained: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Average precision of each class on what is held out; NaN where all or none of that shows it."""
    probe = Ridge(_STRENGTH).fit(features[trained], labels[trained])
    found = probe.predict(features[held]).reshape(-1, labels.shape[1])
    truth = labels[held]
    return np.array([
        average_precision_score(truth[:, c], found[:, c]) if 0 < truth[:, c].sum() < len(truth) else np.nan
        for c in range(labels.shape[1])
    ])  # fmt: skip


def _fit(sizes: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    """Limit, slope and exponent of the power law of least squares; it never falls, and is never above 1."""
    weights = sizes / sizes.sum()  # where it goes on is what is asked
    best = (np.inf, float(mean.max()), 0.0, 1.0)
    for exponent in _EXPONENTS:
        falling = sizes**-exponent
        x, y = falling - (weights * falling).sum(), mean - (weights * mean).sum()
        slope = max(0.0, -float((weights * x * y).sum() / max((weights * x**2).sum(), 1e-300)))
        limit = float((weights * (mean + slope * falling)).sum())
        if limit > 1:
            limit = 1.0
            slope = max(0.0, float((weights * (1 - mean) * falling).sum() / (weights * falling**2).sum()))
        error = float((weights * (limit - slope * falling - mean) ** 2).sum())
        if error < best[0]:
            best = (error, limit, slope, float(exponent))
    return best[1:]
