"""How far scores would move with other test images: a bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["bootstrap", "spread"]


def bootstrap(matrices: Sequence[np.ndarray], draws: int = 1000, level: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Percentile intervals of mIoU and FwIoU over test sets drawn from the images with replacement.

    Each draw adds up the confusion matrices of as many images as there are, and scores the sum, as the figures of the whole
    set are scored. Images of one slide are alike: over few slides, the true uncertainty is larger.

    Args:
        matrices: of each image, ``(C, C + 1)`` as :class:`~scripts.core.metrics.ConfusionMatrix` has it.
        draws: number of draws.
        level: share of the draws within the interval, in (0, 1).
        seed: of the draws.

    Returns:
        ``{"images": n, "level": level, "miou": [low, high], "fwiou": [low, high]}``; ``None`` for a score of fewer than two
        images, or one that no draw defines.
    """
    found: dict[str, Any] = {"images": len(matrices), "level": level, "miou": None, "fwiou": None}
    if len(matrices) < 2:
        return found
    stack = np.stack(matrices).astype(np.float64)
    weights = np.random.default_rng(seed).multinomial(len(stack), np.full(len(stack), 1 / len(stack)), size=draws)
    sums = np.einsum("di,ijk->djk", weights.astype(np.float64), stack, optimize=True)
    classes = stack.shape[1]
    hits = np.einsum("dkk->dk", sums[:, :, :classes])
    truth, predicted = sums.sum(axis=2), sums[:, :, :classes].sum(axis=1)
    union = truth + predicted - hits
    iou = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    with np.errstate(invalid="ignore"):
        defined = ~np.isnan(iou).all(axis=1) & (truth.sum(axis=1) > 0)
    if not defined.any():
        return found
    iou, truth = iou[defined], truth[defined]
    scores = {
        "miou": np.nanmean(iou, axis=1),
        "fwiou": (truth * np.nan_to_num(iou)).sum(axis=1) / truth.sum(axis=1),
    }
    tails = (1 - level) / 2, (1 + level) / 2
    return {**found, **{name: [float(v) for v in np.quantile(values, tails)] for name, values in scores.items()}}


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and standard deviation (of the sample) of scores of images; ``None`` where there are none, or a single one."""
    found = np.array([v for v in values if v is not None], np.float64)
    return {
        "images": len(found),
        "mean": float(found.mean()) if len(found) else None,
        "sd": float(found.std(ddof=1)) if len(found) > 1 else None,
    }
