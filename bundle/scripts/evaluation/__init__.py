"""Scores of every method on the test images, and the report on a run (``evaluate``); where there is nothing to score, the
report on what labels alone tell (``report``)."""

from .evaluate import Evaluation, test_entries
from .label_data import check_faults, labelled_data, training_labels
from .label_predictions import LabelPredictions, PatchNetwork
from .label_run import report_labels, tell
from .report_run import report_run
from .tracked import tracked_scores
from .trainings import recorded_setting, recorded_trainings

__all__ = [
    "Evaluation",
    "LabelPredictions",
    "PatchNetwork",
    "check_faults",
    "labelled_data",
    "recorded_setting",
    "recorded_trainings",
    "report_labels",
    "report_run",
    "tell",
    "test_entries",
    "tracked_scores",
    "training_labels",
]
