"""Figures that labels alone can give: how often classes are named and together, found at thresholds, filled unnamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.metrics import classification_scores

__all__ = ["THRESHOLDS", "classifier_figures", "filled_figures", "label_figures"]

#: Probabilities above which a class counts as found, beside the gate's own: one that a classifier reaches which says little,
#: the usual one, and one at which it has to be sure.
THRESHOLDS = (0.3, 0.5, 0.7)


def label_figures(labels: np.ndarray, groups: Sequence[str | None], classes: Sequence[str]) -> dict[str, Any]:
    """How often classes are named, and together.

    Args:
        labels: ``(N, C)`` of 0 and 1.
        groups: slide, case or region of each patch; ``None``: not known, the patch is a group of its own.
        classes: C names.

    Returns:
        ``patches``: N; ``groups``: how many there are, ``None`` where that of a patch is not known; ``classes``: of each
        class the ``patches`` that name it, the ``share`` of all, those that name it ``alone``, and their ``groups``;
        ``together``: ``(C, C)`` patches that name both.
    """
    labels = np.asarray(labels).astype(np.int64).reshape(len(groups), len(classes))
    known = None not in groups
    alone = labels[labels.sum(axis=1) == 1].sum(axis=0)
    figures = {}
    for k, name in enumerate(classes):
        own = {group for group, label in zip(groups, labels, strict=True) if label[k]}
        count = int(labels[:, k].sum())
        figures[name] = {
            "patches": count,
            "share": count / max(1, len(labels)),
            "alone": int(alone[k]),
            "groups": len(own) if known else None,
        }
    return {
        "patches": len(labels),
        "groups": len(set(groups)) if known else None,
        "classes": figures,
        "together": (labels.T @ labels).tolist(),
    }


def classifier_figures(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], gate_threshold: float | Sequence[float]
) -> dict[str, Any]:
    """How well labels are found.

    Args:
        probabilities: ``(N, C)`` in [0, 1].
        labels: ``(N, C)`` of 0 and 1.
        classes: C names.
        gate_threshold: probability up to which a class is gated, of all classes or of each.

    Returns:
        ``patches``: N; ``mean_ap``; ``classes``: of each class its ``gate_threshold``, ``ap`` (``None`` without a positive),
        ``positives``, ``prevalence``, and ``thresholds``: a list of ``threshold``, ``tp``, ``fp``, ``fn``, ``tn``, a class
        being found where its probability is above the threshold.
    """
    labels = np.asarray(labels).astype(bool)
    scores = classification_scores(probabilities, labels, classes)
    figures = {}
    gates = np.broadcast_to(gate_threshold, len(classes)).astype(float).tolist()
    for k, name in enumerate(classes):
        positives = int(labels[:, k].sum())
        figures[name] = {
            "gate_threshold": gates[k],
            "ap": scores["ap"][name],
            "positives": positives,
            "prevalence": positives / max(1, len(labels)),
            "thresholds": [
                {"threshold": t, **_counts(probabilities[:, k] > t, labels[:, k])} for t in sorted({gates[k], *THRESHOLDS})
            ],
        }
    return {
        "patches": len(labels),
        "mean_ap": scores["mean_ap"],
        "classes": figures,
    }


def filled_figures(shares: np.ndarray, labels: np.ndarray, classes: Sequence[str], threshold: float) -> dict[str, Any]:
    """In how many patches the segmenter fills more with a class than a label asks for, where the label names it and not.

    Args:
        shares: ``(N, C)`` shares of the patch that classes fill, in [0, 1].
        labels: ``(N, C)`` of 0 and 1.
        classes: C names.
        threshold: share above which a class is in a label.

    Returns:
        ``patches``: N; ``threshold``; ``classes``: of each class ``named`` and ``unnamed`` patches, and how many of either
        it fills more than the threshold of: ``named_filled``, ``unnamed_filled``.
    """
    labels, filled = np.asarray(labels).astype(bool), np.asarray(shares) > threshold
    figures = {}
    for k, name in enumerate(classes):
        counts = _counts(filled[:, k], labels[:, k])
        figures[name] = {
            "named": counts["tp"] + counts["fn"],
            "named_filled": counts["tp"],
            "unnamed": counts["fp"] + counts["tn"],
            "unnamed_filled": counts["fp"],
        }
    return {"patches": len(labels), "threshold": float(threshold), "classes": figures}


def _counts(found: np.ndarray, label: np.ndarray) -> dict[str, int]:
    cells = {"tp": found & label, "fp": found & ~label, "fn": ~found & label, "tn": ~found & ~label}
    return {name: int(cell.sum()) for name, cell in cells.items()}
