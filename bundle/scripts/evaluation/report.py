"""One self-contained HTML page on a run: scores, curves, pseudo masks, and cases to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..core.atomic import write_text
from ..core.facts import DatasetFacts
from ..core.pictures import data_uri
from .charts import line_chart

__all__ = ["Case", "Report", "write_report"]

_TEMPLATE = Path(__file__).with_name("report.html")
_FIGURES = {
    "miou": "mIoU", "fwiou": "FwIoU", "pixel_accuracy": "pixel acc.", "mean_accuracy": "mean acc.", "mean_f1": "mean F1",
}  # fmt: skip
_CURVES = {
    "val_miou": "mIoU", "val_fwiou": "FwIoU", "val_mean_ap": "mean AP", "val_macro_f1": "macro F1",
    "val_exact_match": "exact match",
}  # fmt: skip


@dataclass
class Case:
    """One image of the gallery.

    Args:
        name: name of the image.
        score: its FwIoU, in [0, 1].
        panels: title and ``(H, W, 3)`` uint8 picture, image first.
        note: short text, such as the class areas.
    """

    name: str
    score: float | None
    panels: list[tuple[str, np.ndarray]]
    note: str = ""


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
        ("Worst cases", _gallery(report.worst)),
        ("Best cases", _gallery(report.best)),
        (f"Confusion matrix: {report.method}", _confusion(report)),
        ("Training curves", _curves(report)),
        ("Pseudo masks", _pseudo_masks(report)),
        ("How this was made", _environment(report)),
    ]
    body = "\n".join(f"<section><h2>{escape(t)}</h2>\n{c}</section>" for t, c in sections if c)
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(report.title), facts=_facts(report), legend=_legend(report.facts), body=body
    )
    write_text(path, page)
    return Path(path)


def _facts(report: Report) -> str:
    facts, environment = report.facts, report.environment
    size = facts.patch_size
    lines = {
        "Dataset": facts.name,
        "Test images": report.images,
        "White background": "left out of every score" if facts.white_background else "none: white belongs to a tissue",
        "Pixel size": f"{facts.mpp:g} µm" if facts.mpp else "not given",
        "Patch": f"{size[0]} × {size[1]} px" if size else "",
        "Method of record": report.method,
        "Commit": _short(environment.get("git_commit")),
        "Seed": environment.get("seed", ""),
        "Written": time.strftime("%Y-%m-%d %H:%M %Z"),
    }
    return "".join(f"<div><dt>{k}</dt><dd>{escape(str(v))}</dd></div>" for k, v in lines.items() if str(v))


def _short(commit: str | None) -> str:
    """First ten digits of a commit, and whether files differed from it."""
    digits, _, state = (commit or "").partition("-")
    return f"{digits[:10]} ({state})" if state else digits[:10]


def _table(label: str, head: str, body: str, kind: str = "") -> str:
    """A table that scrolls by itself, also by keyboard."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead>{body}</table></div>"
    )


def _heads(*names: str) -> str:
    return "".join(f'<th scope="col">{escape(name)}</th>' for name in names)


def _legend(facts: DatasetFacts) -> str:
    items = [
        f'<li><span class="swatch" style="background:rgb{tuple(colour)}"></span>{escape(name)}'
        + (f" <small>{escape(description)}</small>" if description != name else "")
        + "</li>"
        for name, description, colour in zip(facts.classes, facts.descriptions, facts.palette, strict=True)
    ]
    if facts.white_background:
        items.append('<li><span class="swatch" style="background:#fff"></span>white background</li>')
    return "".join(items)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _scores(report: Report) -> str:
    columns = [(label, [s.get(key) for s in report.scores.values()]) for key, label in _FIGURES.items()]
    columns += [(f"IoU {c}", [s["iou"].get(c) for s in report.scores.values()]) for c in report.facts.classes]
    shown = [[_percent(v) for v in values] for _, values in columns]
    # figures that read the same are equally good
    best = [_percent(max((v for v in values if v is not None), default=None)) for _, values in columns]
    rows = []
    for index, name in enumerate(report.scores):
        cells = "".join(
            f"<td{' class=best' if texts[index] == top != _percent(None) else ''}>{texts[index]}</td>"
            for texts, top in zip(shown, best, strict=True)
        )
        record = " class=record" if name == report.method else ""
        rows.append(f'<tr{record}><th scope="row">{escape(name)}</th>{cells}</tr>')
    pixels = report.scores[report.method]["pixels"]
    total = max(1, sum(pixels.values()))
    support = "".join(f"<td>{pixels[c]:,}<br>{100 * pixels[c] / total:.1f} %</td>" for c in report.facts.classes)
    foot = f'<tr><th scope="row" colspan="{len(_FIGURES) + 1}">true pixels that the figures rest on</th>{support}</tr>'
    body = f"<tbody>{''.join(rows)}</tbody><tfoot>{foot}</tfoot>"
    return (
        _table("Scores per method", _heads("method", *(label for label, _ in columns)), body) + "<p class=hint>In percent, "
        "from one confusion matrix over all test pixels. Bold: best of a column. CAM rows are the classifier's own maps "
        "(stage 1). The majority row gives every pixel the class that is most frequent in the truth.</p>"
    )


def _confusion(report: Report) -> str:
    matrix = np.asarray(report.scores[report.method]["confusion"], np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [*report.facts.classes, "white"]
    if not matrix[:, -1].any():
        matrix, share, names = matrix[:, :-1], share[:, :-1], names[:-1]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f'<td class=cell style="--share:{s:.3f}" title="{int(n)} px">{100 * s:.1f}<small>{int(n):,} px</small></td>'
            for s, n in zip(shares, counts, strict=True)
        )
        + "</tr>"
        for name, shares, counts in zip(report.facts.classes, share, matrix, strict=True)
    )
    table = _table("Confusion matrix", _heads("truth \\ predicted", *names), f"<tbody>{rows}</tbody>", "confusion")
    return table + "<p class=hint>Percent of each true class, and pixels.</p>"


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
    heads = _heads("layer", *(f"{n} px %" for n in names), *(["mIoU"] if scores else []), *(f"IoU {c}" for c in classes))
    rows = []
    for layer, pixels in summary["pixels"].items():
        total = max(1, sum(pixels.values()))
        cells = [f"{100 * pixels[n] / total:.1f}" for n in names]
        if scores:
            cells += [_percent(scores[layer]["miou"]), *(_percent(scores[layer]["iou"].get(c)) for c in classes)]
        rows.append(f'<tr><th scope="row">{escape(layer)}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>')
    agreement = ", ".join(f"{escape(pair)} {_percent(v)} %" for pair, v in summary["agreement"].items())
    known = " IoU is against true masks, which training never saw." if scores else ""
    return _table("Pseudo masks per layer", heads, f"<tbody>{''.join(rows)}</tbody>") + (
        f"<p class=hint>{summary['patches']} training patches. Pixels on which layers agree: {agreement}.{known}</p>"
    )


def _gallery(cases: Sequence[Case]) -> str:
    blocks = []
    for case in cases:
        score = "" if case.score is None else f" · FwIoU {_percent(case.score)}"
        figures = "".join(
            f'<figure><img src="{data_uri(picture)}" alt="{escape(title)} of {escape(case.name)}">'
            f"<figcaption>{escape(title)}</figcaption></figure>"
            for title, picture in case.panels
        )
        note = f"<p class=hint>{escape(case.note)}</p>" if case.note else ""
        blocks.append(f'<article><h3>{escape(case.name)}{score}</h3><div class="panels">{figures}</div>{note}</article>')
    return "".join(blocks)


def _environment(report: Report) -> str:
    flat = {}
    for key, value in report.environment.items():
        flat.update({f"{key} {k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value})
    rows = "".join(f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(str(v))}</td></tr>' for k, v in flat.items())
    return f"<details><summary>Versions, seed, commit</summary><table>{rows}</table></details>" if rows else ""
