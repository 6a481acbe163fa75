"""What validation scores of a segmenter are called: no score is an mIoU but against true masks."""

from __future__ import annotations

from collections.abc import Callable

from ..core.metrics import TissueScores

__all__ = ["AGREEMENT", "validation_metric", "validation_score"]

#: What scores against pseudo masks are called: they say how far the segmenter agrees with these.
AGREEMENT = {"miou": "agreement_by_class", "fwiou": "agreement_by_size"}


def validation_metric(num_classes: int, true_masks: bool, label_maps: Callable) -> dict[str, TissueScores]:
    """The validation metric of a segmenter by its name.

    Args:
        num_classes: number of tissue classes.
        true_masks: whether true masks stand behind it, or pseudo masks.
        label_maps: engine output to label maps predicted and true.
    """
    names = None if true_masks else AGREEMENT
    return {validation_score("miou", true_masks): TissueScores(num_classes, names=names, output_transform=label_maps)}


def validation_score(score: str | None, true_masks: bool) -> str | None:
    """The name that a score of the setting ``keep`` has among the evaluator's metrics; ``None``: none is asked for.

    Raises:
        ValueError: against pseudo masks there is none of the name.
    """
    if score is None or true_masks:
        return score
    known = {**AGREEMENT, **{name: name for name in AGREEMENT.values()}}
    if score not in known:
        raise ValueError(f"keep: found {score!r}, expected one of {', '.join(known)}, as no true masks validate")
    return known[score]
