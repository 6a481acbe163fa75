"""One self-contained HTML page on a run that has labels alone: what they taught, and what looks doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from ..pages import Case, LayeredImage, Page, Verdict, gallery, layered, number, percent, table, write_page
from .training_tables import label_tables, training_curves

__all__ = ["LabelReport", "write_label_report"]


@dataclass
class LabelReport:
    """What the page shows.

    Args:
        facts: facts of the dataset.
        figures: as :func:`~.label_run.report_labels` gathers them.
        histories: figures per epoch of each training, by its stage.
        verdicts: what the figures mean.
        pseudo_masks: training patches with their pseudo masks.
        unnamed: held-out patches with a tissue that nobody named, or without one that somebody did.
        command: next command.
        environment: versions, commit, seed.
    """

    facts: DatasetFacts
    figures: Mapping[str, Any]
    histories: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()
    pseudo_masks: Sequence[Case] = ()
    unnamed: Sequence[LayeredImage] = ()
    command: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)


def write_label_report(path: str | Path, report: LabelReport) -> Path:
    """Write the page atomically. It holds its pictures and loads nothing.

    Args:
        path: target, ``.html``.
        report: the content; every text in it is escaped.
    """
    figures, apart = report.figures, report.figures["apart"]
    patches = "held-out patches" if apart else "patches that train"
    sections = [
        ("Training curves", training_curves(report.histories, figures["trainings"], figures["truth"])),
        (f"Classifier on {patches}", _average_precision(figures["classifier"]) + _thresholds(figures["classifier"])),
        ("Labels of the training patches", label_tables(figures["labels"])),
        ("Check of the dataset", _faults(figures["dataset_check"])),
        ("Pseudo masks, depth by depth", _shown(report.pseudo_masks)),
        ("Agreement of depths", _agreement(figures["depths"])),
        (f"Segmenter on {patches}", _filled(figures["segmenter"]) + layered(report.unnamed, report.facts)),
    ]
    page = Page(
        f"{report.facts.name}: tissue segmentation from labels alone", report.facts, _details(report), report.verdicts,
        sections, report.command, report.environment, switches=bool(report.unnamed),
    )  # fmt: skip
    return write_page(path, page)


def _details(report: LabelReport) -> dict[str, Any]:
    facts, figures = report.facts, report.figures
    size, held = facts.patch_size, figures["classifier"]["patches"]
    groups = figures["labels"]["groups"]
    return {
        "Dataset": facts.name,
        "Training patches": f"{figures['labels']['patches']}" + (f" of {groups} groups" if groups else ""),
        "Held out": held if figures["apart"] else "nothing",
        "True masks": "of validation images" if figures["truth"] else "none behind these figures",
        "Pixel size": f"{facts.mpp:g} µm" if facts.mpp else "not given",
        "Patch": f"{size[0]} × {size[1]} px" if size else "",
        "Seed": report.environment.get("seed", ""),
    }


def _average_precision(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, own in figures["classes"].items():
        ap = -1 if own["ap"] is None else own["ap"]  # sorted last
        rows.append([name, (ap, number(own["ap"], 3)), own["positives"], percent(own["prevalence"])])
    hint = (
        f"<p class=hint>{figures['patches']} patches; mean AP {number(figures['mean_ap'], 3)}. Of a classifier that "
        "guesses, the AP is about the prevalence.</p>"
    )
    heads = ["class", "AP", "patches that name it", "prevalence %"]
    return table("Average precision per class", heads, rows, sortable=True) + hint


def _thresholds(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, own in figures["classes"].items():
        for row in own["thresholds"]:
            at = f"{row['threshold']:.3g}" + (" (gate)" if row["threshold"] == own["gate_threshold"] else "")
            rows.append([name, (row["threshold"], at), *(row[key] for key in ("tp", "fp", "fn", "tn"))])
    heads = ["class", "found above", "true positives", "false positives", "false negatives", "true negatives"]
    hint = (
        "<p class=hint>Patches. Positive: the classifier gives the class more than the threshold; true: as labelled. What "
        "the gate does not find, it takes from the label map.</p>"
    )
    return "<br>" + table("Labels found by threshold", heads, rows, sortable=True) + hint


def _faults(faults: Sequence[Mapping[str, str]] | None) -> str:
    if faults is None:
        return "<p class=hint>Not at hand: the pipeline checks a dataset, and so does check.yaml.</p>"
    if not faults:
        return "<p class=hint>No fault found.</p>"
    rows = [[f["kind"], *(f"<td>{escape(f[key])}</td>" for key in ("file", "found", "expected"))] for f in faults]
    return table("Warnings of the check", ["warning", "file", "found", "expected"], rows)


def _shown(cases: Sequence[Case]) -> str:
    hint = (
        "<p class=hint>Training patches, chosen by how far the masks of the depths agree on each class. The refined mask "
        "follows the colours, the consensus is what patches that overlap agree on.</p>"
    )
    return gallery(cases) + hint if cases else ""


def _agreement(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return "<p class=hint>There are no pseudo masks of two depths or more to compare.</p>"
    if not figures["patches"]:
        return "<p class=hint>No patch names several tissues: where one is named, every depth gives all tissue to it.</p>"
    rows = [["all depths", *(percent(v) for v in figures["classes"].values())]]
    rows += [[pair, *(percent(v) for v in shares.values())] for pair, shares in figures["pairs"].items()]
    return table("Agreement of depths per class", ["depths", *figures["classes"]], rows) + (
        f"<p class=hint>Percent of the pixels that any of the depths gives to a class which all of them give to it, in "
        f"{figures['patches']} training patches that name several tissues. All depths agree on "
        f"{percent(figures['tissue'])} % of the tissue. Agreement is no score: depths can agree on what is wrong.</p>"
    )


def _filled(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, own in figures["classes"].items():
        cells = []
        for kind in ("named", "unnamed"):
            total, filled = own[kind], own[f"{kind}_filled"]
            share = filled / total if total else None
            cells += [total, (filled, f"{filled}" + (f" <small>({percent(share, 0)} %)</small>" if total else ""))]
        rows.append([name, *cells])
    more = f"filled above {100 * figures['threshold']:g} %"
    heads = ["class", "patches that name it", more, "patches that do not", more]
    return table("Tissue that is named, and that nobody named", heads, rows, sortable=True) + (
        "<p class=hint>In how many patches the segmenter, gated as in inference, gives a class more of the patch than a "
        "label asks for. Below: patches with most of a tissue that nobody named, and some that lack one that is named; the "
        "legend switches classes on and off.</p><br>"
    )
