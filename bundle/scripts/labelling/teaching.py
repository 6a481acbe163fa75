"""What the label of a patch would teach a trained model."""

from __future__ import annotations

import numpy as np

__all__ = ["binary_entropy", "teaching_value"]


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy in bits of yes-or-no answers, in [0, 1], of their probabilities; of the same shape."""
    p = np.clip(np.asarray(probability, np.float64), 1e-9, 1 - 1e-9)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def teaching_value(probability: np.ndarray) -> np.ndarray:
    """How little a classifier knows of patches: the mean entropy of its answers, in bits.

    Args:
        probability: ``(N, C)`` in [0, 1].

    Returns:
        ``(N,)`` in [0, 1].
    """
    return binary_entropy(probability).mean(axis=1)
