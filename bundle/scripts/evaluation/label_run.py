"""Gathers what a run with labels alone left on disk, and what its networks say of held-out patches, into its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import write_json
from ..core.recorded import read_json
from ..pseudo_masks.consensus import CONSENSUS
from ..pseudo_masks.refinement import REFINED
from ..pseudo_masks.summary import SUMMARY
from .depth_agreement import agreement_figures, agreement_of, chosen_patches
from .label_cases import doubtful_rows, mask_case, predicted_image
from .label_figures import classifier_figures, filled_figures, label_figures
from .label_predictions import LabelPredictions
from .label_report import LabelReport, write_label_report
from .label_verdicts import spoken, verdicts
from .trainings import training_histories

__all__ = ["mask_layers", "report_labels", "tell"]

# share of a patch above which a class is in its label, where that is not known; as in the segmenter's self-training
_LABEL_THRESHOLD = 0.02


def report_labels(
    predictions: LabelPredictions,
    stage: Any,
    data: Mapping[str, Any],
    trained: Mapping[str, Mapping[str, Any]],
    epochs: Mapping[str, int | None],
    pseudo_mask_dir: str | Path,
    gate_threshold: float | Sequence[float],
    faults: Sequence[Mapping[str, str]] | None = None,
    command: str | None = None,
    gallery: int = 24,
    progress: bool = True,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into the stage's folder.

    Args:
        predictions: what the networks said of the held-out patches.
        stage: its stage; the folders of the stages before lie beside its own.
        data: as :func:`~.label_data.labelled_data` gives it.
        trained: settings of the trainings, see :func:`~.trainings.recorded_trainings`.
        epochs: epoch that was kept of each training, by its stage.
        pseudo_mask_dir: folder of the pseudo masks, if there are any.
        gate_threshold: probability up to which a class is gated, of all classes or of each.
        faults: what the check of the dataset has found.
        command: next command.
        gallery: patches in each of the page's galleries at most.
        progress: whether to show a progress bar.

    Returns:
        The content of ``report.json``: ``labels``, ``classifier``, ``depths`` (``None`` without two), ``segmenter``,
        ``trainings``, ``dataset_check``, ``apart``, ``truth``, ``verdicts``, ``command``.
    """
    facts, folder = predictions.facts, Path(stage.folder)
    classes, training = facts.classes, data["training"]
    depths, layers = mask_layers(pseudo_mask_dir)
    compared = agreement_of(training, pseudo_mask_dir, depths, facts, progress)
    labels = np.array([entry["label"] for entry in training])
    threshold = _LABEL_THRESHOLD if facts.label_threshold is None else facts.label_threshold
    figures: dict[str, Any] = {
        "labels": label_figures(labels, [entry["group"] for entry in training], classes),
        "classifier": classifier_figures(predictions.probabilities, predictions.labels, classes, gate_threshold),
        "depths": agreement_figures(compared, depths, classes) if len(depths) > 1 else None,
        "segmenter": filled_figures(predictions.shares, predictions.labels, classes, threshold),
        "trainings": {name: {**settings, "epoch": epochs.get(name)} for name, settings in trained.items()},
        "dataset_check": None if faults is None else [dict(fault) for fault in faults],
        "apart": data["apart"],
        "truth": data["truth"],
    }
    said = verdicts(figures)
    content = {**figures, "verdicts": [{"kind": v.kind, "text": v.text} for v in said], "command": command}
    chosen = chosen_patches(compared, training, classes, gallery) if layers else {}
    entries = {entry["name"]: entry for entry in training}
    doubtful = doubtful_rows(predictions.rows, classes, threshold, gallery)
    report = LabelReport(
        facts=facts,
        figures=figures,
        histories=training_histories(folder.parent),
        verdicts=said,
        pseudo_masks=[mask_case(entries[name], why, pseudo_mask_dir, layers, facts) for name, why in chosen.items()],
        unnamed=[predicted_image(row, why, facts) for row, why in doubtful],
        command=command or "",
        environment=read_json(folder / "environment.json") or {},
    )
    write_json(folder / "report.json", content)
    write_label_report(folder / "report.html", report)
    return content


def mask_layers(folder: str | Path) -> tuple[list[str], list[str]]:
    """Layers of a folder of pseudo masks, as its summary names them: the depths alone, and all of them.

    Args:
        folder: folder of the pseudo masks; without a summary it has none.
    """
    summary = read_json(Path(folder) / SUMMARY)
    pixels = summary.get("pixels") if isinstance(summary, dict) else None
    layers = [name for name in pixels if isinstance(name, str)] if isinstance(pixels, dict) else []
    return [name for name in layers if name not in (REFINED, CONSENSUS)], layers


def tell(folder: str | Path) -> None:
    """Print the verdicts, the path of the page and the next command.

    Args:
        folder: folder of the stage, which has finished.
    """
    report = read_json(Path(folder) / "report.json")
    lines = [spoken(report["verdicts"]), f"report        {Path(folder) / 'report.html'}"]
    lines += [f"to segment images:\n  {report['command']}"] if report["command"] else []
    with suppress(BrokenPipeError):  # nobody reads any more
        print("\n".join(lines), flush=True)
