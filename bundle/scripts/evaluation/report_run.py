"""Gathers what a run left on disk into its report and score tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic import write_text
from ..core.image_writers import write_image
from ..core.images import read_image, read_mask
from ..core.pictures import class_areas, overlay, strip
from ..inference.predict import paint_white
from ..pages import Case
from .evaluate import Evaluation
from .report import Report, write_report

__all__ = ["picture_of", "ranked", "report_run", "scores_csv"]


def report_run(
    evaluation: Evaluation, stage: Any, pseudo_mask_dir: str | Path, layers: Sequence[str], gallery: int = 8
) -> list[Path]:
    """Write ``metrics.csv``, ``report.html`` and ``gallery.png`` into the evaluation's folder.

    Args:
        evaluation: the evaluation that has run.
        stage: its stage; the folders of the stages before lie beside its own.
        pseudo_mask_dir: folder with the summary of the pseudo masks, if there is one.
        layers: layers shown in the gallery, shallow to deep.
        gallery: number of cases, half of them the worst and half the best.

    Returns:
        The files written.
    """
    folder = Path(stage.folder)
    results = evaluation.results()
    worst, best = ranked(evaluation.images, gallery)
    cases = {row["name"]: _case(evaluation, row, layers) for row in [*worst, *best]}
    histories = {
        "classifier": _json(folder.parent / "train_classifier" / "history.json"),
        "segmenter": _json(folder.parent / "train" / "history.json"),
    }
    report = Report(
        title=f"{evaluation.facts.name}: tissue segmentation from patch-level labels",
        facts=evaluation.facts,
        scores=results["scores"],
        method=evaluation.method,
        histories={k: h for k, h in histories.items() if h},
        pseudo_masks=_json(Path(pseudo_mask_dir) / "summary.json") or {},
        worst=[cases[row["name"]] for row in worst],
        best=[cases[row["name"]] for row in best],
        environment=_json(folder / "environment.json") or {},
        images=len(evaluation.images),
    )
    files = [folder / "metrics.json", folder / "metrics.csv", folder / "report.html", folder / "gallery.png"]
    write_text(files[1], scores_csv(results["scores"], evaluation.facts.classes))
    write_report(files[2], report)
    write_image(files[3], strip(cases[picture_of([*best, *worst])["name"]].panels))
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

    panels = [("image", image)]
    panels += [(f"CAM {layer}", show(row["maps"][f"CAM {layer}"])) for layer in layers]
    panels += [(evaluation.method, show(row["maps"][evaluation.method]))]
    panels += [("truth", overlay(image, evaluation.truth(row), facts, alpha=0.45))]
    areas = class_areas(paint_white(read_mask(row["maps"][evaluation.method]), image, facts), facts)
    note = "Predicted: " + ", ".join(f"{name} {a['percent']:.0f} %" for name, a in areas.items())
    return Case(row["name"], row["scores"]["fwiou"], panels, note)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
