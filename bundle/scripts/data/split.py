"""Which entries of a datalist train and validate each network.

One hold-out serves all networks: the datalist's ``validation`` section; all training patches train. Only where that section
says nothing about tissue are groups held out of training, the same ones for every network of a seed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import load_facts
from ..core.images import image_size
from ..core.names import VALIDATION, pseudo_mask_paths
from .datalist import read_datalist
from .labelled_windows import labelled_windows

__all__ = [
    "classifier_data",
    "patch_size",
    "segmenter_data",
    "split_by_group",
    "supervised_data",
    "validation_patches",
]

logger = logging.getLogger(__name__)


def patch_size(dataset_dir: str | Path) -> tuple[int, int]:
    """Size (height, width) in px of the training patches, as the first one has it; networks see windows of this size."""
    return image_size(_training(dataset_dir)[0]["image"])


def split_by_group(
    entries: Sequence[Mapping[str, Any]], fraction: float, seed: int
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Hold out whole groups (the ROI or slide that a patch was cut from), drawn by seed.

    Args:
        entries: datalist entries; one without ``group`` is a group of its own.
        fraction: share of the groups held out, in [0, 1); at least one group, unless it is zero or there is only one
            group: nothing is then held out, and one group is on both sides.
        seed: seed of the draw.

    Returns:
        Entries kept and entries held out, in their order.
    """
    groups = sorted({_group(entry) for entry in entries})
    if len(groups) < 2:
        return list(entries), list(entries)
    if fraction == 0:
        return list(entries), [e for e in entries if _group(e) == groups[0]]
    count = min(len(groups) - 1, max(1, round(fraction * len(groups))))
    held = set(np.random.default_rng(seed).permutation(groups)[:count].tolist())
    return [e for e in entries if _group(e) not in held], [e for e in entries if _group(e) in held]


def classifier_data(dataset_dir: str | Path, holdout: float = 0.1, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Patches and image-level labels for the classifier; no mask is passed on.

    It validates on the patches of the validation section; of a region with a true mask, on windows of a patch's size whose
    labels the mask gives (see :func:`~.labelled_windows.labelled_windows`).

    Args:
        dataset_dir: prepared dataset.
        holdout: share of the training groups that validates where the validation section has neither masks nor labels.
        seed: seed of that split.

    Returns:
        ``{"training": entries, "validation": entries}`` with ``image``, ``label`` (float32, one value per class) and
        ``name``; a window of a region has its ``corner`` (y, x in px), too.

    Raises:
        ValueError: training patches that nothing can be learnt from: fewer than two, of a single class, or with the same
            label all; or a validation patch with a label alone of another size than the training patches.
    """
    training, validation = _hold_out(dataset_dir, _validation(dataset_dir), holdout, seed)
    _check_labels(dataset_dir, training)
    size, facts = image_size(training[0]["image"]), load_facts(dataset_dir)
    windows = [window for entry in validation for window in labelled_windows(entry, size, facts)]
    if not windows:  # regions without tissue alone
        training, windows = _hold_out(dataset_dir, [], holdout, seed)
    return {
        section: [
            {**{k: e[k] for k in ("image", "name", "corner") if k in e}, "label": np.asarray(e["label"], np.float32)}
            for e in entries
        ]
        for section, entries in (("training", training), ("validation", windows))
    }


def validation_patches(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """Entries of the validation section that need pseudo masks: its labelled patches, where none has a true mask."""
    return [entry for entry in _validation(dataset_dir) if not entry.get("mask")]


def segmenter_data(
    dataset_dir: str | Path, pseudo_mask_dir: str | Path, layers: Sequence[str], holdout: float = 0.1, seed: int = 0
) -> dict[str, Any]:
    """Patches with their pseudo masks, and images to validate on.

    Those of the validation section with a true mask validate against it. Where none has one, its labelled patches validate
    against their pseudo masks of the last layer; where there are none either, groups held out of training do.

    Args:
        dataset_dir: prepared dataset.
        pseudo_mask_dir: folder of the pseudo masks, one subfolder per layer; those of validation patches are in
            ``validation`` under it.
        layers: its layers, shallow to deep.
        holdout: share of the training groups that validates where the validation section has neither masks nor labels.
        seed: seed of that split.

    Returns:
        ``{"training": entries, "validation": entries, "true_masks": whether these have any}``; ``label`` is a list of L
        pseudo masks in training, one mask in validation; ``present`` in training is the image-level label.

    Raises:
        FileNotFoundError: a pseudo mask is missing.
    """
    paths = {e["name"]: pseudo_mask_paths(pseudo_mask_dir, layers, e["name"]) for e in _training(dataset_dir)}
    section = _validation(dataset_dir)
    training, validation = _hold_out(dataset_dir, section, holdout, seed)
    if section:
        held = Path(pseudo_mask_dir) / VALIDATION
        truth = [e.get("mask") or pseudo_mask_paths(held, layers[-1:], e["name"])[0] for e in validation]
    else:
        truth = [paths[e["name"]][-1] for e in validation]
    expected = [*(p for per_patch in paths.values() for p in per_patch), *truth]
    if missing := [p for p in expected if not Path(p).is_file()]:
        raise FileNotFoundError(
            f"{len(missing)} of {len(expected)} masks are missing, the first is {missing[0]}: "
            "run generate_pseudo_masks first, with the same dataset_dir and layers"
        )
    return {
        "training": [_patch(e, paths[e["name"]]) for e in training],
        "validation": [{"image": e["image"], "label": t, "name": e["name"]} for e, t in zip(validation, truth, strict=True)],
        "true_masks": any(e.get("mask") for e in section),
    }


def supervised_data(dataset_dir: str | Path, holdout: float = 0.1, seed: int = 0) -> dict[str, Any]:
    """Patches with their true masks, for the upper bound of full supervision; otherwise as :func:`segmenter_data`, but that
    groups are held out of training wherever the validation section has no true mask.

    Raises:
        ValueError: a training patch has no true mask.
    """
    training = _training(dataset_dir)
    bare = [e["image"] for e in training if not e.get("mask")]
    if bare:
        raise ValueError(
            f"{dataset_dir}: full supervision needs a true mask for every training patch, {len(bare)} of {len(training)} "
            f"have none, the first is {bare[0]}"
        )
    masked = [e for e in _validation(dataset_dir) if e.get("mask")]
    training, validation = _hold_out(dataset_dir, masked, holdout, seed)
    return {
        "training": [_patch(e, [e["mask"]]) for e in training],
        "validation": [{"image": e["image"], "label": e["mask"], "name": e["name"]} for e in validation],
        "true_masks": True,
    }


def _validation(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """Entries of the validation section that tell how good a network is: those with a true mask; where none has one, those
    whose label names a class."""
    entries = read_datalist(dataset_dir, "validation", require=("image",))
    return [e for e in entries if e.get("mask")] or [e for e in entries if any(e.get("label") or ())]


def _hold_out(
    dataset_dir: str | Path, section: Sequence[dict[str, Any]], holdout: float, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All training entries and the validation section; where that is empty, groups kept and groups held out. Says which."""
    training = _training(dataset_dir)
    if section:
        _check_count(dataset_dir, training)
        logger.debug("%s: all %d training patches train, the validation section validates", dataset_dir, len(training))
        return training, list(section)
    kept, held = split_by_group(training, holdout, seed)
    _check_count(dataset_dir, kept, f", of {len(training)}, the others being held out" if len(kept) < len(training) else "")
    groups = sorted({_group(e) for e in held})
    if groups and {_group(e) for e in kept} >= set(groups):
        logger.warning(
            "%s: nothing is held out: validation scores come from patches that train (group %s) and say nothing of others; "
            "expected patches of two or more groups (slides, regions) and holdout above 0, or a validation section",
            dataset_dir, groups[0],
        )  # fmt: skip
    else:
        names = ", ".join([*groups[:6], *(["..."] if len(groups) > 6 else [])])
        logger.info("%s: no validation section, held out of training: groups %s (%d)", dataset_dir, names, len(groups))
    return kept, held


def _check_count(dataset_dir: str | Path, training: Sequence[Any], why: str = "") -> None:
    if len(training) < 2:
        raise ValueError(
            f"{dataset_dir}: found {len(training)} patch to train on{why}; expected two at the very least, "
            "of two groups (slides, regions) or more beside those held out; add patches"
        )


def _check_labels(dataset_dir: str | Path, training: Sequence[Mapping[str, Any]]) -> None:
    """Refuse labels that teach a classifier nothing."""
    if len(training[0]["label"]) < 2:
        raise ValueError(
            f"{dataset_dir}: found a single class, expected two or more: all tissue is of the one, and there is nothing to "
            "learn; give what else the patches show a class of its own"
        )
    if len({tuple(entry["label"]) for entry in training}) < 2:
        raise ValueError(
            f"{dataset_dir}: found the label {list(training[0]['label'])} for all of {len(training)} patches to train on, "
            "expected labels that differ: a tissue is known by the patches that lack it; add patches of other labels"
        )


def _training(dataset_dir: str | Path) -> list[dict[str, Any]]:
    entries = read_datalist(dataset_dir, "training", require=("image", "label"))
    if not entries:
        raise ValueError(f"{dataset_dir}: the datalist's training section is empty, expected patches with labels")
    return entries


def _patch(entry: Mapping[str, Any], masks: Sequence[str]) -> dict[str, Any]:
    present = np.asarray(entry["label"], np.uint8)
    return {"image": entry["image"], "label": list(masks), "present": present, "name": entry["name"]}


def _group(entry: Mapping[str, Any]) -> str:
    group = entry.get("group")
    return str(entry["name"] if group in (None, "") else group)  # 0 is a group
