from __future__ import annotations

import numpy as np
from scripts.core.metrics import ConfusionMatrix
from scripts.evaluation.tracked import tracked_scores


def test_each_figure_once_under_a_name_that_mlflow_takes():
    counted = ConfusionMatrix(2)
    counted.matrix = np.array([[8, 2, 0], [0, 10, 0]])
    record, other = counted.scores("ab"), ConfusionMatrix.constant(counted, 0).scores("ab")
    scores = {"majority class (a)": other, "CAM gradcam_stage5": other, "segmenter": record, "segmenter + gate": record}
    found = tracked_scores({"method": "segmenter + gate", "scores": scores, "risk_coverage": {"gain": 0.7}})
    assert found["miou"] == record["miou"] and found["iou"] == {"a": 0.8, "b": 10 / 12} and found["certainty_gain"] == 0.7
    assert {k for k, v in found.items() if isinstance(v, dict)} == {
        "iou",
        "majority_class",
        "CAM_gradcam_stage5",
        "segmenter",
    }
    assert found["majority_class"] == {"miou": other["miou"], "fwiou": other["fwiou"]}
    assert "segmenter_gate" in tracked_scores({"method": "segmenter", "scores": scores})
    assert tracked_scores({}) == {}
