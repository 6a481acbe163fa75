"""Patches with labels alone: those that train, and those that are held out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.recorded import read_json
from ..data.datalist import read_datalist
from ..data.entry_checks import Fault
from ..data.split import classifier_data

__all__ = ["check_faults", "labelled_data", "training_labels"]


def labelled_data(dataset_dir: str | Path, holdout: float = 0.1, seed: int = 0) -> dict[str, Any]:
    """Patches that train and patches that are held out, as :func:`~scripts.data.classifier_data` divides them.

    Args:
        dataset_dir: prepared dataset.
        holdout: share of the training groups that is held out where the validation section says nothing about tissue.
        seed: seed of that split.

    Returns:
        ``training``: entries with ``image``, ``name``, ``label`` (C numbers, 0 or 1) and ``group`` (text or ``None``);
        ``held_out``: entries with ``image``, of a window its ``corner`` (y, x in px), and the whole of it under ``entry``;
        ``apart``: whether no held-out image trains; ``truth``: whether the segmenter validates against true masks.

    Raises:
        ValueError: see :func:`~scripts.data.classifier_data`.
    """
    data = classifier_data(dataset_dir, holdout, seed)
    groups = {entry["name"]: entry.get("group") for entry in read_datalist(dataset_dir, "training")}
    training = [
        {**entry, "label": [int(v) for v in entry["label"]], "group": _text(groups.get(entry["name"]))}
        for entry in data["training"]
    ]
    held_out = []
    for found in data["validation"]:
        entry = {**found, "label": [int(v) for v in found["label"]]}
        held_out.append({**{k: entry[k] for k in ("image", "corner") if k in entry}, "entry": entry})
    images = {entry["image"] for entry in training}
    return {
        "training": training,
        "held_out": held_out,
        "apart": not any(item["image"] in images for item in held_out),
        "truth": _has_truth(dataset_dir),
    }


def check_faults(output_dir: str | Path) -> list[dict[str, str]] | None:
    """What the check of the dataset has found, as the pipeline has left it in a run; ``None`` where it has not.

    Args:
        output_dir: folder of the run, with ``dataset_check.json``.
    """
    found = read_json(Path(output_dir) / "dataset_check.json")
    if not isinstance(found, list):
        return None
    try:
        return [asdict(Fault(**{k: str(v) for k, v in fault.items()})) for fault in found]
    except (AttributeError, TypeError):  # of another program
        return None


def training_labels(dataset_dir: str | Path) -> dict[str, Any]:
    """What training was told: ``entries`` with ``label`` and ``group`` of each labelled patch, and ``truth``, whether the
    segmenter validates against true masks.

    Args:
        dataset_dir: prepared dataset.
    """
    entries = [e for e in read_datalist(dataset_dir, "training") if e.get("label")]
    return {
        "entries": [{"label": [int(v) for v in e["label"]], "group": _text(e.get("group"))} for e in entries],
        "truth": _has_truth(dataset_dir),
    }


def _has_truth(dataset_dir: str | Path) -> bool:
    return any(entry.get("mask") for entry in read_datalist(dataset_dir, "validation", ("image",)))


def _text(group: Any) -> str | None:
    return None if group in (None, "") else str(group)
