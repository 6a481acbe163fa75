"""Which entries of a datalist train and validate each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.images import image_size
from ..core.names import pseudo_mask_paths
from .datalist import read_datalist

__all__ = ["classifier_data", "patch_size", "segmenter_data", "split_by_group", "supervised_data"]


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

    Args:
        dataset_dir: prepared dataset.
        holdout: share of the training groups that validates.
        seed: seed of the split.

    Returns:
        ``{"training": entries, "validation": entries}`` with ``image``, ``label`` and ``name``.
    """
    training, validation = split_by_group(_training(dataset_dir), holdout, seed)
    return {
        section: [{"image": e["image"], "label": np.asarray(e["label"], np.float32), "name": e["name"]} for e in entries]
        for section, entries in (("training", training), ("validation", validation))
    }


def segmenter_data(
    dataset_dir: str | Path, pseudo_mask_dir: str | Path, layers: Sequence[str], holdout: float = 0.1, seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """Patches with their pseudo masks, and images with true masks to choose the checkpoint.

    Where the validation section has no masks, groups are held out of training instead and validate against the pseudo
    mask of the deepest layer.

    Args:
        dataset_dir: prepared dataset.
        pseudo_mask_dir: folder of the pseudo masks, one subfolder per layer.
        layers: its layers, shallow to deep.
        holdout: share of the training groups that validates where there are no true masks.
        seed: seed of that split.

    Returns:
        ``{"training": entries, "validation": entries}``; ``label`` is a list of L pseudo masks in training, one mask in
        validation; ``present`` in training is the image-level label.

    Raises:
        FileNotFoundError: a pseudo mask is missing.
    """
    training = _training(dataset_dir)
    paths = {e["name"]: pseudo_mask_paths(pseudo_mask_dir, layers, e["name"]) for e in training}
    missing = [p for per_patch in paths.values() for p in per_patch if not Path(p).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(training) * len(layers)} pseudo masks are missing, the first is {missing[0]}: "
            "run generate_pseudo_masks first, with the same dataset_dir and layers"
        )
    masked = [e for e in read_datalist(dataset_dir, "validation", require=("image",)) if e.get("mask")]
    if masked:
        validation = [{"image": e["image"], "label": e["mask"], "name": e["name"]} for e in masked]
    else:
        training, held = split_by_group(training, holdout, seed)
        validation = [{"image": e["image"], "label": paths[e["name"]][-1], "name": e["name"]} for e in held]
    return {
        "training": [_patch(e, paths[e["name"]]) for e in training],
        "validation": validation,
    }


def supervised_data(dataset_dir: str | Path, holdout: float = 0.1, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Patches with their true masks, for the upper bound of full supervision; otherwise as :func:`segmenter_data`.

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
    validation = [e for e in read_datalist(dataset_dir, "validation", require=("image",)) if e.get("mask")]
    if not validation:
        training, validation = split_by_group(training, holdout, seed)
    return {
        "training": [_patch(e, [e["mask"]]) for e in training],
        "validation": [{"image": e["image"], "label": e["mask"], "name": e["name"]} for e in validation],
    }


def _training(dataset_dir: str | Path) -> list[dict[str, Any]]:
    entries = read_datalist(dataset_dir, "training", require=("image", "label"))
    if not entries:
        raise ValueError(f"{dataset_dir}: the datalist's training section is empty, expected patches with labels")
    return entries


def _patch(entry: Mapping[str, Any], masks: Sequence[str]) -> dict[str, Any]:
    present = np.asarray(entry["label"], np.uint8)
    return {"image": entry["image"], "label": list(masks), "present": present, "name": entry["name"]}


def _group(entry: Mapping[str, Any]) -> str:
    return str(entry.get("group") or entry["name"])
