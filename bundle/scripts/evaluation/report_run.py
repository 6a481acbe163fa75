"""Gathers what a run left on disk into its report and score tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_text
from ..core.facts import DatasetFacts
from ..core.image_writers import write_image
from ..core.images import read_image, read_mask
from ..core.pictures import class_areas, overlay, strip
from ..core.recorded import read_json
from ..inference.predict import paint_white
from ..pages import Case
from .evaluate import Evaluation
from .label_figures import label_figures
from .report import Report, write_report
from .trainings import recorded_trainings, training_histories

__all__ = ["error_map", "picture_of", "ranked", "report_run", "scores_csv"]

_WRONG = (200, 0, 40)


def report_run(
    evaluation: Evaluation,
    stage: Any,
    pseudo_mask_dir: str | Path,
    layers: Sequence[str],
    gallery: int = 8,
    labels: Mapping[str, Any] | None = None,
    epochs: Mapping[str, int | None] | None = None,
) -> list[Path]:
    """Write ``metrics.csv``, ``report.html`` and ``gallery.png`` into the evaluation's folder.

    Args:
        evaluation: the evaluation that has run.
        stage: its stage; the folders of the stages before lie beside its own.
        pseudo_mask_dir: folder with the summary of the pseudo masks, if there is one.
        layers: layers shown in the gallery, shallow to deep.
        gallery: number of cases, half of them the worst and half the best.
        labels: what training was told, see :func:`~.label_data.training_labels`.
        epochs: epoch that was kept of each training, by its stage.

    Returns:
        The files written.
    """
    folder = Path(stage.folder)
    results = evaluation.results()
    worst, best = ranked(evaluation.images, gallery)
    cases = {row["name"]: _case(evaluation, row, layers) for row in [*worst, *best]}
    labels = labels or {"entries": [], "truth": True}
    told = [entry["label"] for entry in labels["entries"]], [entry["group"] for entry in labels["entries"]]
    trained = recorded_trainings(folder.parent)
    report = Report(
        title=f"{evaluation.facts.name}: tissue segmentation from patch-level labels",
        facts=evaluation.facts,
        results=results,
        curve=evaluation.risk_coverage.curve(),
        histories=training_histories(folder.parent),
        trainings={name: {**settings, "epoch": (epochs or {}).get(name)} for name, settings in trained.items()},
        truth=labels["truth"],
        labels=label_figures(np.array(told[0]), told[1], evaluation.facts.classes),
        pseudo_masks=read_json(Path(pseudo_mask_dir) / "summary.json") or {},
        worst=[cases[row["name"]] for row in worst],
        best=[cases[row["name"]] for row in best],
        environment=read_json(folder / "environment.json") or {},
    )
    files = [folder / "metrics.json", folder / "metrics.csv", folder / "report.html", folder / "gallery.png"]
    write_text(files[1], scores_csv(results["scores"], evaluation.facts.classes))
    write_report(files[2], report)
    shown = cases[picture_of([*best, *worst])["name"]]
    write_image(files[3], strip([*shown.panels[:1], *shown.more, *shown.panels[1:]]))
    return files


def ranked(images: Sequence[Mapping[str, Any]], gallery: int) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The worst and the best images by FwIoU, half of ``gallery`` each (at least one), no image twice.

    FwIoU weights classes by their true pixels. By mIoU an image of a single class would rank worst as soon as one pixel of
    it is given to another.

    Args:
        images: rows with ``name`` and ``scores``.
        gallery: number of images.

    Returns:
        The worst, worst first, and the best, best first. Images without true tissue are left out if others are there.
    """
    scored = [row for row in images if row["scores"]["fwiou"] is not None] or images
    rows = sorted(scored, key=lambda row: (row["scores"]["fwiou"] or 0.0, row["name"]))
    half = max(1, gallery // 2)
    worst = rows[:half]
    return worst, rows[len(worst) :][::-1][:half]


def picture_of(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first of the rows that shows at least two true classes; the first one if none does."""
    return next((row for row in rows if sum(n > 0 for n in row["scores"]["pixels"].values()) > 1), rows[0])


def scores_csv(scores: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> str:
    """One row per method: overall scores, then IoU, F1 and accuracy per class; empty where undefined."""
    overall = ("miou", "fwiou", "pixel_accuracy", "mean_accuracy", "mean_f1")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", *overall, *(f"{kind} {c}" for kind in ("iou", "f1", "accuracy") for c in classes)])
    for method, values in scores.items():
        per_class = [values[kind][c] for kind in ("iou", "f1", "accuracy") for c in classes]
        writer.writerow([method, *("" if v is None else v for v in [*(values[k] for k in overall), *per_class])])
    return text.getvalue()


def _case(evaluation: Evaluation, row: Mapping[str, Any], layers: Sequence[str]) -> Case:
    facts = evaluation.facts
    image = read_image(row["image"])

    def show(path: str) -> Any:
        return overlay(image, paint_white(read_mask(path), image, facts), facts, alpha=0.45)

    found, truth = paint_white(read_mask(row["maps"][evaluation.method]), image, facts), evaluation.truth(row)
    panels = [
        ("image", image),
        ("truth", overlay(image, truth, facts, alpha=0.45)),
        (f"prediction: {evaluation.method}", overlay(image, found, facts, alpha=0.45)),
        ("errors", error_map(image, read_mask(row["maps"][evaluation.method]), truth, facts)),
    ]
    more = [(f"CAM {layer}", show(row["maps"][f"CAM {layer}"])) for layer in layers]
    areas = class_areas(found, facts), class_areas(np.where(truth < facts.num_classes, truth, facts.white_value), facts)
    shown = [(name, *(f"{part[name]['percent']:.0f} %" for part in areas)) for name in facts.classes]
    shares = (f"{name} {predicted} (truth {true})" for name, predicted, true in shown)
    mpp = None if row["mpp"] is None else row["mpp"][1]
    return Case(row["name"], row["scores"]["fwiou"], panels, "Areas: " + ", ".join(shares), more, mpp)


def error_map(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray, facts: DatasetFacts) -> np.ndarray:
    """The image, faded and grey, with its wrong pixels in red; what has no true class is paler still.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        prediction: ``(H, W)`` class indices.
        truth: ``(H, W)`` class indices; other values count nowhere.
        facts: number of classes.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    grey = image.astype(np.float32).mean(axis=2, keepdims=True)
    known = (truth < facts.num_classes)[..., None]
    picture = np.rint(np.where(known, 140 + 0.45 * grey, 225 + 0.1 * grey)).astype(np.uint8).repeat(3, axis=2)
    picture[known[..., 0] & (prediction != truth)] = _WRONG
    return picture
