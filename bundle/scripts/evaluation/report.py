"""One self-contained HTML page on a run: verdict, scores, cases to look at, curves, pseudo masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from ..pages import Case, Page, gallery, write_page
from .report_tables import (
    border_table,
    certainty_chart,
    confusion_table,
    image_table,
    pseudo_mask_table,
    score_table_html,
)
from .score_verdicts import score_verdicts
from .training_tables import label_tables, training_curves

__all__ = ["Report", "write_report"]


@dataclass
class Report:
    """What the page shows.

    Args:
        title: heading.
        facts: facts of the dataset.
        results: of :meth:`~.evaluate.Evaluation.results`; its scores have the table's order.
        curve: coverage and risk of the method of record, see :meth:`~.risk_coverage.RiskCoverage.curve`.
        histories: stage to figures per epoch.
        trainings: of each training, by its stage, ``keep`` and the ``epoch`` that was kept.
        truth: whether true masks stand behind the segmenter's validation scores.
        labels: of the training patches, see :func:`~.label_figures.label_figures`; empty where there are none.
        pseudo_masks: summary of the pseudo masks (see :func:`~scripts.pseudo_masks.summarise_pseudo_masks`).
        worst: cases, worst first.
        best: cases, best first.
        environment: versions, commit, seed.
    """

    title: str
    facts: DatasetFacts
    results: Mapping[str, Any]
    curve: Sequence[tuple[float, float]] = ()
    histories: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    truth: bool = True
    labels: Mapping[str, Any] = field(default_factory=dict)
    pseudo_masks: Mapping[str, Any] = field(default_factory=dict)
    worst: Sequence[Case] = ()
    best: Sequence[Case] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)


def write_report(path: str | Path, report: Report) -> Path:
    """Write the page atomically. It holds its pictures and loads nothing.

    Args:
        path: target, ``.html``.
        report: the content; every text in it is escaped.
    """
    results, facts = report.results, report.facts
    sections = [
        ("Scores", score_table_html(results, facts)),
        ("Worst cases", gallery(report.worst)),
        ("Best cases", gallery(report.best)),
        ("All images", image_table(results, facts)),
        (f"Confusion matrix: {results['method']}", confusion_table(results, facts)),
        ("Errors near borders", border_table(results)),
        ("Certainty", certainty_chart(results, report.curve)),
        ("Training curves", training_curves(report.histories, report.trainings, report.truth)),
        ("Labels of the training patches", label_tables(report.labels) if report.labels else ""),
        ("Pseudo masks", pseudo_mask_table(report.pseudo_masks, facts)),
    ]
    page = Page(
        title=report.title,
        facts=facts,
        details=_details(report),
        verdicts=score_verdicts(results),
        sections=sections,
        environment=report.environment,
    )
    return write_page(path, page)


def _details(report: Report) -> dict[str, Any]:
    facts, environment = report.facts, report.environment
    size = facts.patch_size
    return {
        "Dataset": facts.name,
        "Test images": len(report.results["images"]),
        "White background": "left out of every score" if facts.white_background else "none: white belongs to a tissue",
        "Pixel size": f"{facts.mpp:g} µm" if facts.mpp else "not given",
        "Patch": f"{size[0]} × {size[1]} px" if size else "",
        "Method of record": report.results["method"],
        "Commit": _short(environment.get("git_commit")),
        "Seed": environment.get("seed", ""),
    }


def _short(commit: str | None) -> str:
    """First ten digits of a commit, and whether files differed from it."""
    digits, _, state = (commit or "").partition("-")
    return f"{digits[:10]} ({state})" if state else digits[:10]
