"""What networks were trained on, and how that went, as tables and charts of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..pages import line_chart, percent, table
from .trainings import SCORES, TRAININGS, kept_epoch

__all__ = ["label_tables", "training_curves"]


def training_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], trainings: Mapping[str, Mapping[str, Any]], truth: bool
) -> str:
    """Loss and validation scores over the epochs of each training that has left them, the epoch that was kept, and why.

    Args:
        histories: figures per epoch, by the stage.
        trainings: ``keep``, and the ``epoch`` that was kept, by the stage.
        truth: whether true masks stand behind the segmenter's validation scores.
    """
    blocks = []
    for stage, network in TRAININGS.items():
        history, epoch = histories.get(stage, ()), trainings.get(stage, {}).get("epoch")
        if not history and epoch is None:
            continue
        loss = [(row["epoch"], row["train_loss"]) for row in history if row.get("train_loss") is not None]
        scores: dict[str, list[tuple[float, float]]] = {names[not truth]: [] for names in SCORES.values()}
        for key, names in SCORES.items():
            found = [(row["epoch"], row[f"val_{key}"]) for row in history if row.get(f"val_{key}") is not None]
            scores[names[not truth]] += found
        charts = line_chart(f"{network}: training loss", {"loss": loss}) + line_chart(f"{network}: validation", scores)
        why = kept_epoch(network, epoch, len(history), trainings.get(stage, {}).get("keep"), truth)
        blocks.append(f'<p class=hint>{escape(why)}.</p><div class="charts">{charts}</div>')
    if blocks and not truth:
        blocks.append("<p class=hint>Agreement is that of the segmenter with pseudo masks, not with a truth.</p>")
    return "".join(blocks)


def label_tables(figures: Mapping[str, Any]) -> str:
    """How often each class is named in training, and together with which others.

    Args:
        figures: of :func:`~.label_figures.label_figures`.
    """
    return _labels(figures) + _together(figures) if figures["patches"] else ""


def _labels(figures: Mapping[str, Any]) -> str:
    rows = [
        [name, own["patches"], percent(own["share"]), own["alone"], "–" if own["groups"] is None else own["groups"]]
        for name, own in figures["classes"].items()
    ]
    return table("Labels", ["class", "patches", "% of patches", "named alone", "groups"], rows, sortable=True)


def _together(figures: Mapping[str, Any]) -> str:
    names, both = list(figures["classes"]), figures["together"]
    rows = []
    for k, name in enumerate(names):
        total = max(1, both[k][k])
        cells = [
            f'<td class=cell style="--share:{n / total:.3f}">{100 * n / total:.0f}<small>{n} patches</small></td>'
            for n in both[k]
        ]
        rows.append([name, *cells])
    return (
        "<br>"
        + table("Classes named together", ["of patches with \\ also", *names], rows, kind="confusion")
        + ("<p class=hint>Percent of the patches that name a row's class which name the column's, too, and patches.</p>")
    )
