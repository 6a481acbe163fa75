"""One self-contained HTML page on a run: scores, curves, pseudo masks, and cases to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..pages import Case, Page, gallery, line_chart, percent, table, write_page

__all__ = ["Report", "write_report"]

_FIGURES = {
    "miou": "mIoU", "fwiou": "FwIoU", "pixel_accuracy": "pixel acc.", "mean_accuracy": "mean acc.", "mean_f1": "mean F1",
}  # fmt: skip
_CURVES = {
    "val_miou": "mIoU", "val_fwiou": "FwIoU", "val_mean_ap": "mean AP", "val_macro_f1": "macro F1",
    "val_exact_match": "exact match",
}  # fmt: skip


@dataclass
class Report:
    """What the page shows.

    Args:
        title: heading.
        facts: facts of the dataset.
        scores: method to scores (see :meth:`scripts.core.metrics.ConfusionMatrix.scores`), in the table's order.
        method: the method whose confusion matrix and gallery are shown.
        histories: stage to figures per epoch.
        pseudo_masks: summary of the pseudo masks (see :func:`~scripts.pseudo_masks.summarise_pseudo_masks`).
        worst: cases, worst first.
        best: cases, best first.
        environment: versions, commit, seed.
        images: number of images scored.
    """

    title: str
    facts: DatasetFacts
    scores: Mapping[str, Mapping[str, Any]]
    method: str
    histories: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    pseudo_masks: Mapping[str, Any] = field(default_factory=dict)
    worst: Sequence[Case] = ()
    best: Sequence[Case] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    images: int = 0


def write_report(path: str | Path, report: Report) -> Path:
    """Write the page atomically. It holds its pictures and loads nothing.

    Args:
        path: target, ``.html``.
        report: the content; every text in it is escaped.
    """
    sections = [
        ("Scores", _scores(report)),
        ("Worst cases", gallery(report.worst)),
        ("Best cases", gallery(report.best)),
        (f"Confusion matrix: {report.method}", _confusion(report)),
        ("Training curves", _curves(report)),
        ("Pseudo masks", _pseudo_masks(report)),
    ]
    return write_page(
        path, Page(report.title, report.facts, _details(report), sections=sections, environment=report.environment)
    )


def _details(report: Report) -> dict[str, Any]:
    facts, environment = report.facts, report.environment
    size = facts.patch_size
    return {
        "Dataset": facts.name,
        "Test images": report.images,
        "White background": "left out of every score" if facts.white_background else "none: white belongs to a tissue",
        "Pixel size": f"{facts.mpp:g} µm" if facts.mpp else "not given",
        "Patch": f"{size[0]} × {size[1]} px" if size else "",
        "Method of record": report.method,
        "Commit": _short(environment.get("git_commit")),
        "Seed": environment.get("seed", ""),
    }


def _short(commit: str | None) -> str:
    """First ten digits of a commit, and whether files differed from it."""
    digits, _, state = (commit or "").partition("-")
    return f"{digits[:10]} ({state})" if state else digits[:10]


def _scores(report: Report) -> str:
    columns = [(label, [s.get(key) for s in report.scores.values()]) for key, label in _FIGURES.items()]
    columns += [(f"IoU {c}", [s["iou"].get(c) for s in report.scores.values()]) for c in report.facts.classes]
    shown = [[percent(v) for v in values] for _, values in columns]
    # figures that read the same are equally good
    best = [percent(max((v for v in values if v is not None), default=None)) for _, values in columns]
    rows = []
    for index, name in enumerate(report.scores):
        cells = [
            f"<td{' class=best' if texts[index] == top != percent(None) else ''}>{texts[index]}</td>"
            for texts, top in zip(shown, best, strict=True)
        ]
        rows.append([name, *cells])
    pixels = report.scores[report.method]["pixels"]
    total = max(1, sum(pixels.values()))
    support = "".join(f"<td>{pixels[c]:,}<br>{100 * pixels[c] / total:.1f} %</td>" for c in report.facts.classes)
    foot = f'<tr><th scope="row" colspan="{len(_FIGURES) + 1}">true pixels that the figures rest on</th>{support}</tr>'
    heads = ["method", *(label for label, _ in columns)]
    return (
        table("Scores per method", heads, rows, record=report.method, foot=foot) + "<p class=hint>In percent, "
        "from one confusion matrix over all test pixels. Bold: best of a column. CAM rows are the classifier's own maps "
        "(stage 1). The majority row gives every pixel the class that is most frequent in the truth.</p>"
    )


def _confusion(report: Report) -> str:
    matrix = np.asarray(report.scores[report.method]["confusion"], np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [*report.facts.classes, "white"]
    if not matrix[:, -1].any():
        matrix, share, names = matrix[:, :-1], share[:, :-1], names[:-1]
    rows = [
        [
            name,
            *(
                f'<td class=cell style="--share:{s:.3f}" title="{int(n)} px">{100 * s:.1f}<small>{int(n):,} px</small></td>'
                for s, n in zip(shares, counts, strict=True)
            ),
        ]
        for name, shares, counts in zip(report.facts.classes, share, matrix, strict=True)
    ]
    return (
        table("Confusion matrix", ["truth \\ predicted", *names], rows, kind="confusion")
        + "<p class=hint>Percent of each true class, and pixels.</p>"
    )


def _curves(report: Report) -> str:
    charts = []
    for stage, history in report.histories.items():
        curves = {
            label: [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
            for key, label in {"train_loss": "loss", **_CURVES}.items()
        }
        charts.append(line_chart(f"{stage}: training loss", {"loss": curves.pop("loss")}))
        charts.append(line_chart(f"{stage}: validation", curves))
    return f'<div class="charts">{"".join(charts)}</div>' if any(charts) else ""


def _pseudo_masks(report: Report) -> str:
    summary = report.pseudo_masks
    if not summary:
        return ""
    names = list(next(iter(summary["pixels"].values())))
    scores = summary.get("scores") or {}
    classes = report.facts.classes if scores else ()
    heads = ["layer", *(f"{n} px %" for n in names), *(["mIoU"] if scores else []), *(f"IoU {c}" for c in classes)]
    rows = []
    for layer, pixels in summary["pixels"].items():
        total = max(1, sum(pixels.values()))
        cells = [f"{100 * pixels[n] / total:.1f}" for n in names]
        if scores:
            cells += [percent(scores[layer]["miou"]), *(percent(scores[layer]["iou"].get(c)) for c in classes)]
        rows.append([layer, *cells])
    agreement = ", ".join(f"{escape(pair)} {percent(v)} %" for pair, v in summary["agreement"].items())
    known = " IoU is against true masks, which training never saw." if scores else ""
    return table("Pseudo masks per layer", heads, rows) + (
        f"<p class=hint>{summary['patches']} training patches. Pixels on which layers agree: {agreement}.{known}</p>"
    )
