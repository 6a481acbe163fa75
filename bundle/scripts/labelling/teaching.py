"""What the label of a patch would teach a trained model."""

from __future__ import annotations

import numpy as np

__all__ = ["binary_entropy", "teaching_value"]

_FILLS = 0.2  # share of a patch above which a class that the segmenter sees there is surely shown
_RAREST = 0.02  # share of the labels below which a class counts as no rarer


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy in bits of yes-or-no answers, in [0, 1], of their probabilities; of the same shape."""
    p = np.clip(np.asarray(probability, np.float64), 1e-9, 1 - 1e-9)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def teaching_value(
    probability: np.ndarray,
    depths: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    labelled: np.ndarray | None = None,
) -> np.ndarray:
    """How likely a model is to be wrong about patches, by what is known of it: the sum of up to three signs, each in units
    of its deviation.

    The signs are the entropy of the classifier's answers, in which rare classes count more; how far its depths disagree, the
    entropy of their mean above the mean of their entropies; and how far it and the segmenter do. Together they tell the
    patches that a classifier is wrong about better than each alone (``benchmarks/experiments.md``).

    Args:
        probability: ``(N, C)`` of the classifier, in [0, 1].
        depths: ``(N, S, C)`` of its heads at S depths; ``None``: it has one.
        shares: ``(N, C)`` of a patch that the segmenter gives each class, in [0, 1]; ``None``: there is none.
        labelled: ``(M, C)`` labels so far, of 0 and 1, by which classes are rare; ``None``: none is.

    Returns:
        ``(N,)``, larger where a label teaches more; comparable among these patches alone.
    """
    weights = np.ones(probability.shape[1])
    if labelled is not None and len(labelled):
        weights = 1 / np.sqrt(np.clip(np.mean(labelled, axis=0), _RAREST, 1))
    signs = [(binary_entropy(probability) * weights).mean(axis=1)]
    if depths is not None:
        signs.append((binary_entropy(depths.mean(axis=1)) - binary_entropy(depths).mean(axis=1)).mean(axis=1))
    if shares is not None:
        seen = np.clip(shares / _FILLS, 0, 1)
        signs.append((probability * (1 - seen) + (1 - probability) * seen).mean(axis=1))
    return np.sum([(sign - sign.mean()) / max(sign.std(), 1e-9) for sign in signs], axis=0)
