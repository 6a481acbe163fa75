"""What pseudo masks say, and how good they are where true masks are at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..core.images import read_mask
from ..core.metrics import ConfusionMatrix
from ..core.names import VALIDATION, pseudo_mask_paths
from ..core.progress import track

__all__ = ["MARK", "SUMMARY", "pseudo_mask_files", "read_mark", "summarise_pseudo_masks"]

#: Files of a folder of pseudo masks: the summary, and the fingerprint of the stage that made them.
SUMMARY, MARK = "summary.json", "fingerprint.txt"


def summarise_pseudo_masks(
    entries: Sequence[Mapping[str, Any]],
    folder: str | Path,
    layers: Sequence[str],
    facts: DatasetFacts,
    progress: bool = True,
) -> dict[str, Any]:
    """Count what the pseudo masks say, and score them where true masks are at hand.

    Args:
        entries: datalist entries; a true mask under ``mask`` is used for the scores alone.
        folder: folder of the pseudo masks.
        layers: its layers.
        facts: facts of the dataset.
        progress: whether to show a progress bar.

    Returns:
        ``{"patches": n, "pixels": {layer: {class: px}}, "agreement": {"a/b": share of pixels}, "scores": {layer:
        scores}}``; ``scores`` is empty without true masks.
    """
    pixels = {layer: np.zeros(facts.num_classes + 1, np.int64) for layer in layers}
    agreement = {pair: [0, 0] for pair in combinations(range(len(layers)), 2)}
    matrices = {layer: ConfusionMatrix(facts.num_classes) for layer in layers}
    scored = 0
    for entry in track(entries, "summary of pseudo masks", len(entries), progress):
        masks = [read_mask(path) for path in pseudo_mask_paths(folder, layers, entry["name"])]
        truth = read_mask(entry["mask"], facts.num_classes) if entry.get("mask") else None
        scored += truth is not None
        for layer, mask in zip(layers, masks, strict=True):
            pixels[layer] += np.bincount(mask.ravel(), minlength=facts.num_classes + 1)[: facts.num_classes + 1]
            if truth is not None:
                matrices[layer].update(mask, truth)
        for first, second in agreement:
            agreement[first, second][0] += int((masks[first] == masks[second]).sum())
            agreement[first, second][1] += masks[first].size
    names = [*facts.classes, "white background"]
    return {
        "patches": len(entries),
        "pixels": {k: dict(zip(names, v.tolist(), strict=True)) for k, v in pixels.items()},
        "agreement": {f"{layers[a]}/{layers[b]}": same / max(1, n) for (a, b), (same, n) in agreement.items()},
        "scores": {k: m.scores(facts.classes) for k, m in matrices.items()} if scored else {},
    }


def read_mark(folder: str | Path) -> str:
    """Fingerprint of the stage that made a folder of pseudo masks; empty where there is none, or none that can be one."""
    mark = Path(folder) / MARK
    found = mark.read_text(encoding="utf-8", errors="replace").strip() if mark.is_file() else ""
    return found if re.fullmatch(r"\w+", found, re.ASCII) else ""


def pseudo_mask_files(
    folder: str | Path, entries: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Everything that :func:`~.generate.generate_pseudo_masks` has left in a folder, as far as its summary tells.

    Args:
        folder: folder of the pseudo masks.
        entries: datalist entries.
        validation: further entries, whose masks are in ``validation`` under it.

    Returns:
        Paths of the summary, of the fingerprint, and of the masks of every layer that the summary has.
    """
    folder = Path(folder)
    try:
        layers = list(json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["pixels"])
    except (OSError, ValueError, KeyError, TypeError):
        layers = []
    masks = [path for entry in entries for path in pseudo_mask_paths(folder, layers, entry["name"])]
    masks += [path for entry in validation for path in pseudo_mask_paths(folder / VALIDATION, layers, entry["name"])]
    return [str(folder / SUMMARY), str(folder / MARK), *masks]
