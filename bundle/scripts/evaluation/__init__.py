"""Scores of every method on the test images, and the report on a run (``evaluate``)."""

from .evaluate import Evaluation, test_entries
from .report_run import report_run

__all__ = [
    "Evaluation",
    "report_run",
    "test_entries",
]
