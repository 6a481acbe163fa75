"""What the trainings of a run have recorded of themselves: what they held out, and which epoch was kept and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..core.config_check import shipped
from ..core.kinds import setting_kind
from ..core.recorded import read_json

__all__ = ["SCORES", "TRAININGS", "kept_epoch", "recorded_setting", "recorded_trainings", "training_histories"]

#: Stages that train, and what they train.
TRAININGS = {"train_classifier": "classifier", "train": "segmenter"}

# settings that decide what is held out and kept
_SETTINGS = ("holdout", "seed", "keep")

#: Names of validation scores, with true masks behind those of the segmenter and without. Up to version 0.8 a segmenter's had
#: the same names in either case.
SCORES = {
    "mean_ap": ("mean AP", "mean AP"),
    "macro_f1": ("macro F1", "macro F1"),
    "exact_match": ("exact match", "exact match"),
    "miou": ("mIoU", "agreement, by class"),
    "fwiou": ("FwIoU", "agreement, by size"),
    "agreement_by_class": ("agreement, by class",) * 2,
    "agreement_by_size": ("agreement, by size",) * 2,
}


def recorded_trainings(output_dir: str | Path) -> dict[str, dict[str, Any]]:
    """Settings of both trainings as they were recorded; those of the bundle where a training has not run in this folder.

    Args:
        output_dir: folder of the run.

    Returns:
        ``{stage: {"holdout": share of the groups, "seed": seed, "keep": validation score or None}}``, unchecked.

    Raises:
        ValueError: a recorded configuration that is no YAML; the message names it.
    """
    return {stage: _recorded(Path(output_dir) / stage / "config.yaml", stage) for stage in TRAININGS}


def _recorded(path: Path, stage: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    content = {**shipped(f"{stage}.yaml"), **(content if isinstance(content, dict) else {})}
    return {key: content[key] for key in _SETTINGS}


def recorded_setting(trained: Mapping[str, Mapping[str, Any]], key: str) -> Any:
    """A setting of the classifier's training by which patches are held out.

    Args:
        trained: as :func:`recorded_trainings` gives it.
        key: ``"holdout"`` or ``"seed"``.

    Raises:
        ValueError: it is not what it may be, such as an expression.
    """
    value = trained["train_classifier"][key]
    try:
        return setting_kind("train_classifier", key).fit(value)
    except ValueError as error:
        name = "holdout" if key == "holdout" else "holdout_seed"
        raise ValueError(f"train_classifier/config.yaml: {key}: {error}; set {name}, as the trainings had it") from error


def training_histories(output_dir: str | Path) -> dict[str, list[dict[str, float]]]:
    """Figures per epoch of each training that has left them, by its stage."""
    found = {stage: read_json(Path(output_dir) / stage / "history.json") for stage in TRAININGS}
    return {stage: rows for stage, rows in found.items() if isinstance(rows, list) and rows}


def kept_epoch(network: str, epoch: int | None, epochs: int, keep: str | None, truth: bool) -> str:
    """Which epoch of a training was kept, and why, in words.

    Args:
        network: what was trained.
        epoch: the epoch, as the weights say; ``None``: they do not.
        epochs: epochs that were trained.
        keep: validation score whose best epoch is kept; ``None``: the last epoch.
        truth: whether true masks stand behind the segmenter's scores.
    """
    if epoch is None:
        return f"{network}: its weights do not say which epoch they are of"
    if not epochs:  # it has not run here: nothing says why
        return f"{network}: epoch {epoch} is kept"
    of = f"{network}: epoch {epoch} of {epochs}"
    if keep is None:
        return f"{of} is kept, the last one (keep: null), as the few images that validate say little"
    return f"{of} is kept, that of the highest {SCORES.get(keep, (keep, keep))[not truth]} (keep: {keep})"
