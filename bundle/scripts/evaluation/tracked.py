"""Figures of an evaluation as runs are compared by: few, each once, under the names of the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["tracked_scores"]

_OVERALL = ("miou", "fwiou", "pixel_accuracy", "mean_accuracy", "mean_f1")


def tracked_scores(results: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of the method of record under their own names, and mIoU and FwIoU of the others under theirs.

    Args:
        results: of :meth:`~.evaluate.Evaluation.results`; empty where there was none.

    Returns:
        ``{"miou": ..., "fwiou": ..., "iou": {class: ...}, "certainty_gain": ..., "segmenter": {"miou": ..., "fwiou": ...},
        "CAM_fused": ..., ...}``, all in [0, 1].
    """
    if not results:
        return {}
    record = results["scores"][results["method"]]
    found = {name: record[name] for name in _OVERALL} | {"iou": record["iou"]}
    found["certainty_gain"] = results.get("risk_coverage", {}).get("gain")
    for method, scores in results["scores"].items():
        if method != results["method"]:
            name = re.sub(r"\W+", "_", re.sub(r"\(.*\)", "", method)).strip("_")
            found[name] = {figure: scores[figure] for figure in ("miou", "fwiou")}
    return found
