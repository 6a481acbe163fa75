"""How well certainty finds errors: the risk of the most certain pixels, over the share of them that is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RiskCoverage"]

_BINS = 2**12


class RiskCoverage:
    """Risk-coverage curve over all pixels of a test set (Geifman et al. 2019, "Bias-reduced uncertainty estimation").

    Pixels are taken by certainty, the most certain first; the risk at a coverage is the share of wrong ones among those
    taken. The area under the curve (AURC) is the mean risk: of random certainty the share of wrong pixels, of an oracle that
    takes all right ones first the least there can be. Certainties are counted in 4,096 bins; pixels of one bin are taken
    together, in a random order.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((2, _BINS), np.int64)  # right and wrong pixels

    def update(self, certainty: np.ndarray, wrong: np.ndarray) -> None:
        """Count pixels.

        Args:
            certainty: in [0, 1], of any shape.
            wrong: bool, of the same shape.
        """
        bins = np.clip((np.asarray(certainty, np.float64) * _BINS).astype(np.int64), 0, _BINS - 1)
        for row, which in enumerate((~wrong, wrong)):
            self.counts[row] += np.bincount(bins[which].ravel(), minlength=_BINS)

    def __iadd__(self, other: RiskCoverage) -> RiskCoverage:
        self.counts += other.counts
        return self

    def curve(self) -> list[tuple[float, float]]:
        """Coverage and risk, each in [0, 1], at the end of each bin that has pixels."""
        right, wrong = (np.cumsum(row[::-1]) for row in self.counts)
        taken = right + wrong
        ends = np.flatnonzero(np.diff(taken, prepend=0))
        return [(float(taken[k] / taken[-1]), float(wrong[k] / taken[k])) for k in ends]

    def scores(self) -> dict[str, Any]:
        """``risk`` (share of wrong pixels, which is the AURC of random certainty), ``aurc``, ``oracle`` (its least), and
        ``gain``: how much of the way from random to the oracle it is, 1 the whole; ``None`` without pixels or errors."""
        total, wrong = int(self.counts.sum()), int(self.counts[1].sum())
        if not total:
            return {"pixels": 0, "risk": None, "aurc": None, "oracle": None, "gain": None}
        risk = wrong / total
        aurc = self._area()
        oracle = risk + (1 - risk) * float(np.log1p(-risk)) if risk < 1 else 1.0
        gain = (risk - aurc) / (risk - oracle) if 0 < risk < 1 else None
        return {"pixels": total, "risk": risk, "aurc": aurc, "oracle": oracle, "gain": gain}

    def _area(self) -> float:
        """Mean over all pixels, one after the other, of the share of wrong ones up to each."""
        right, wrong = self.counts[:, ::-1].astype(np.float64)
        size = right + wrong
        before, errors = np.cumsum(size) - size, np.cumsum(wrong) - wrong
        keep = size > 0
        before, errors, size, wrong = before[keep], errors[keep], size[keep], wrong[keep]
        # in a bin the j-th of n pixels brings j w / n errors: the mean of (e + j w / n) / (b + j), summed by its integral
        share = wrong / size
        first = np.where(before == 0, share * size, 0.0)
        safe = np.maximum(before, 1.0)
        later = share * size + (errors - share * before) * np.log1p(size / safe)
        return float(np.where(before == 0, first, later).sum() / size.sum())
