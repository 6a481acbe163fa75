"""How often networks look at a pixel: as their weights say, or by a scheme of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.ranges import PROBABILITY
from ..weights.description import Description

__all__ = ["BEST", "FAST", "gate_thresholds", "inference_scheme"]

#: Windows of the size of the training patches and of twice their side; the segmenter looks at these turned, too, and the
#: classifier once: 7 looks at a pixel.
FAST: Mapping[str, Any] = {"flips": False, "turned": True, "window_scales": [1.0, 2.0], "overlap": 0.25}

#: The same windows, which overlap more: 10 looks at a pixel.
BEST: Mapping[str, Any] = {**FAST, "overlap": 0.375}

# of weights whose description does not say it: those of before version 0.7
_BEFORE: Mapping[str, Any] = {"overlap": 0.5, "turned": False}


def inference_scheme(
    recorded: Mapping[str, Any], quality: str = "recorded", gate_threshold: float | Sequence[float] | None = None
) -> dict[str, Any]:
    """``flips``, ``turned``, ``window_scales``, ``overlap`` and ``gate_threshold`` of inference.

    Args:
        recorded: ``inference`` of the segmenter's description.
        gate_threshold: of the classifier, where the segmenter's description has none for its own windows.
        quality: ``"recorded"``, ``"fast"``: :data:`FAST`, or ``"best"``: :data:`BEST`, whatever is recorded.

    Raises:
        ValueError: another quality.
    """
    schemes = {"recorded": recorded, "fast": FAST, "best": BEST}
    if quality not in schemes:
        raise ValueError(f"quality: found {quality!r}, expected one of {', '.join(schemes)}")
    return {**_BEFORE, "gate_threshold": gate_threshold, **schemes[quality]}


def gate_thresholds(classifier: Description) -> float | list[float] | None:
    """The threshold of each class where the training of a classifier measured them, else the one for all of them.

    Args:
        classifier: what its weights are.

    Raises:
        ValueError: one is no probability.
    """
    names = [f"gate_threshold.{name}" for name in classifier.facts.classes]
    if not all(name in classifier.scores for name in names):
        return classifier.gate_threshold
    return [float(PROBABILITY.check(classifier.scores[name], f"scores of the classifier: {name}")) for name in names]
