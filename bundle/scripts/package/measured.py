"""Figures of weights that were measured, with what they were measured on; where nothing was, there are none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.ranges import Number
from ..core.recorded import read_json
from ..weights.description import Description

__all__ = ["Measured", "measured"]

logger = logging.getLogger(__name__)

_SHARE = Number(0, 1)
# of the scores of an epoch: what the training chose, and did not measure
_CHOSEN = ("epoch", "temperature", "gate_threshold.")


@dataclass(frozen=True)
class Measured:
    """Figures of one measurement.

    Args:
        name: short name of it, which begins the names of its figures in ``metadata.json``.
        of: what was measured.
        on: what it was measured on.
        figures: in [0, 1], by their names; those of each class in a mapping by the class.
        intervals: (low, high) of 95 %, over images, of some of them.
    """

    name: str
    of: str
    on: str
    figures: Mapping[str, float | Mapping[str, float]]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def measured(segmenter: Description, classifier: Description, metrics: str | Path | None, run: Path) -> list[Measured]:
    """What is known of weights: scores of an evaluation, if it was of these very weights, and those of their trainings.

    Args:
        segmenter: description of its weights.
        classifier: description of its weights.
        metrics: ``metrics.json`` of an evaluation; ``None``: that of the run, if it is of these weights.
        run: folder of the run that made the weights.

    Raises:
        FileNotFoundError: no such file.
        ValueError: ``metrics`` is no file of an evaluation, or is of other weights.
    """
    found = []
    path = run / "evaluate" / "metrics.json" if metrics is None else Path(metrics)
    try:
        if metrics is not None or path.is_file():
            found.append(_evaluation(path, {"classifier": classifier.sha256, "segmenter": segmenter.sha256}))
    except ValueError as error:
        if metrics is not None:
            raise
        logger.warning("no scores of a test are in the package: %s", error)
    for name, description, truth in (
        ("validation", segmenter, "images, against true masks, or pseudo masks where there were none"),
        ("classifier_validation", classifier, "patches, against their labels"),
    ):
        figures = {k: v for k, v in description.scores.items() if v in _SHARE and not k.startswith(_CHOSEN)}
        if figures:
            epoch = description.scores.get("epoch")
            on = f"held-out part of {description.facts.name}: {truth}" + (f"; after epoch {epoch}" if epoch else "")
            found.append(Measured(name, f"{description.kind} by itself", on, figures))
    return found


def _evaluation(path: Path, weights: Mapping[str, str]) -> Measured:
    """The scores of the method of record of an evaluation."""
    if not path.is_file():
        raise FileNotFoundError(f"metrics: no such file: {path}; name the metrics.json that evaluate.yaml wrote")
    content: Any = read_json(path)
    try:
        on, method = content["measured_on"], content["method"]
        scores = {k: v for k, v in content["scores"][method].items() if v in _SHARE}
        classes = {c: v for c, v in content["scores"][method]["iou"].items() if v in _SHARE}
        intervals = {k: tuple(v) for k, v in content["intervals"][method].items() if k in scores and len(v) == 2}
        words = f"{on['section']} section of {on['dataset']}: {on['images']} images with true masks"
        same = on["weights"] == dict(weights)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: does not say what it measured, and on what; run evaluate.yaml of this version with these weights"
        ) from error
    if not same:
        raise ValueError(f"{path}: measured with other weights; run evaluate.yaml with these")
    return Measured("test", method, words, {**scores, "iou": classes}, intervals)
