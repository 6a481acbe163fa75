"""Patches of the report on labels alone, as they are shown: with their pseudo masks, and with what the segmenter says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.facts import DatasetFacts
from ..core.images import read_image, read_mask
from ..core.names import pseudo_mask_paths
from ..core.pictures import overlay
from ..data.labelled_windows import ReadWindowd
from ..pages import Case, LayeredImage

__all__ = ["doubtful_rows", "mask_case", "predicted_image"]

# px, of a panel: several stand in a row
_LONGEST = 288
# patches shown of each class: with most of it where nobody named it, and with least where somebody did
_UNNAMED, _NOT_SHOWN = 2, 1


def mask_case(
    entry: Mapping[str, Any], why: Sequence[str], folder: str | Path, layers: Sequence[str], facts: DatasetFacts
) -> Case:
    """A training patch with its pseudo masks.

    Args:
        entry: with ``image``, ``name`` and ``label``.
        why: why it is shown.
        folder: folder of the pseudo masks.
        layers: its layers, in their order; those that are absent are left out.
        facts: facts of the dataset.

    Raises:
        ValueError: a mask that cannot be read, or that is of another size than its patch.
    """
    image = read_image(entry["image"])
    panels = [("image", _small(image))]
    for layer, path in zip(layers, pseudo_mask_paths(folder, layers, entry["name"]), strict=True):
        if Path(path).is_file():
            mask = read_mask(path, facts.num_classes)
            if mask.shape != image.shape[:2]:
                raise ValueError(f"{path}: found {mask.shape} px (H, W), expected its patch's {image.shape[:2]}")
            panels.append((layer, _small(overlay(image, mask, facts, alpha=0.45))))
    mpp = facts.mpp and facts.mpp * image.shape[1] / panels[0][1].shape[1]
    return Case(entry["name"], None, [], f"{'; '.join(why)}. {_label(entry, facts)}", more=panels, mpp=mpp)


def predicted_image(row: Mapping[str, Any], why: Sequence[str], facts: DatasetFacts) -> LayeredImage:
    """A held-out patch under what the segmenter says of it.

    Args:
        row: of :attr:`~.label_predictions.LabelPredictions.rows`.
        why: why it is shown.
        facts: facts of the dataset.
    """
    mask = read_mask(row["map"])
    image = read_image(row["image"]) if "corner" not in row else _window(row, mask.shape)
    note = f"{escape('; '.join(why))}. {escape(_label(row, facts))}"
    return LayeredImage(row["name"], image, mask, note, facts.mpp)


def doubtful_rows(
    rows: Sequence[Mapping[str, Any]], classes: Sequence[str], threshold: float, most: int
) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Patches whose prediction and label differ, and why each is there: of each class the two that are filled most by it
    while their label does not name it, and the one that shows least of it while its label does.

    Args:
        rows: with ``name``, ``label`` and ``shares`` (C numbers).
        classes: C names.
        threshold: share of a patch above which a class is in a label.
        most: patches at most, those of unnamed tissue first.
    """
    unnamed, lacking = [], []
    for k, name in enumerate(classes):
        more = [row for row in rows if not row["label"][k] and row["shares"][k] > threshold]
        less = [row for row in rows if row["label"][k] and row["shares"][k] <= threshold]
        more.sort(key=lambda row: (-row["shares"][k], row["name"]))
        less.sort(key=lambda row: (row["shares"][k], row["name"]))
        unnamed += [(row, f"{name} {100 * row['shares'][k]:.0f}\u00a0% of the patch, not named") for row in more[:_UNNAMED]]
        lacking += [(row, f"{name} {100 * row['shares'][k]:.0f}\u00a0% of the patch, named") for row in less[:_NOT_SHOWN]]
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for row, why in [*unnamed, *lacking]:
        if row["name"] in found or len(found) < most:
            found.setdefault(row["name"], (row, []))[1].append(why)
    return list(found.values())


def _label(entry: Mapping[str, Any], facts: DatasetFacts) -> str:
    return f"Label: {', '.join(name for name, v in zip(facts.classes, entry['label'], strict=True) if v)}."


def _window(row: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    found = ReadWindowd("image", size)({"image": row["image"], "corner": row["corner"]})
    return found["image"].numpy().transpose(1, 2, 0)


def _small(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(image)
