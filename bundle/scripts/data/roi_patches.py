"""Annotated regions of interest (ROIs) become training patches, and whole regions to validate and test on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.facts import DatasetFacts
from ..core.image_writers import write_image, write_mask
from .convert import read_eight_bits
from .mask_values import MaskShares, read_classes, refuse_unnamed
from .rois import cut, image_level_label, pad_to, rescale, split_rois
from .white_choice import WhiteShares, sample

__all__ = ["FOLDERS", "RoiSurvey", "survey", "write_patches"]

#: Folders of a section's images and masks.
PLACES = {
    "training": ("train", "train_mask"),
    "validation": ("val/img", "val/mask"),
    "test": ("test/img", "test/mask"),
}
#: Folders of a dataset that they are in.
FOLDERS = ("train", "train_mask", "val", "test")


@dataclass
class RoiSurvey:
    """What ROIs hold, before any is written.

    Args:
        pixels_of: per ROI that can be read, its classes and their pixels.
        shares: of the values of the masks.
        white: measured on a sample.
        skipped: a message for each ROI that cannot be read.
    """

    pixels_of: dict[str, dict[int, int]] = field(default_factory=dict)
    shares: MaskShares = field(default_factory=MaskShares)
    white: WhiteShares = field(default_factory=WhiteShares)
    skipped: list[str] = field(default_factory=list)


def survey(
    pairs: Mapping[str, tuple[Path, Path]],
    facts: DatasetFacts,
    value_range: Sequence[float] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> RoiSurvey:
    """Read all ROIs once.

    Args:
        pairs: image and mask per ROI.
        facts: facts of the raw data.
        value_range: see :func:`~.convert.read_eight_bits`.
        seed: seed of the sample that white is measured on.
        progress: whether to show a progress bar.

    Raises:
        ValueError: no ROI can be read, or values of masks that ``facts.mask_values`` says nothing of.
    """
    found, measured = RoiSurvey(), set(sample(list(pairs), seed))
    for stem, (image_path, mask_path) in tqdm(pairs.items(), desc="read ROIs", disable=not progress):
        try:
            image, mask = _read(image_path, mask_path, facts, value_range, found.shares)
        except (OSError, ValueError) as error:
            found.skipped.append(str(error))
            continue
        counts = np.bincount(mask.ravel(), minlength=facts.num_classes)[: facts.num_classes]
        found.pixels_of[stem] = {k: int(n) for k, n in enumerate(counts) if n}
        if stem in measured:
            found.white.add(image, mask, facts)
    refuse_unnamed(found.shares, facts)
    if not found.pixels_of:
        raise ValueError("no ROI could be read: " + "; ".join(found.skipped[:3]))
    return found


def write_patches(
    pairs: Mapping[str, tuple[Path, Path]],
    pixels_of: Mapping[str, Mapping[int, int]],
    groups: Mapping[str, str],
    folder: Path,
    facts: DatasetFacts,
    settings: Mapping[str, Any],
    progress: bool = True,
) -> dict[str, list[dict[str, Any]]]:
    """Write patches of the training ROIs, and the whole ROIs of the others.

    Args:
        pairs: image and mask per ROI.
        pixels_of: those that can be read, see :class:`RoiSurvey`.
        groups: slide or case of each, which is on one side of the split.
        folder: folder to fill.
        facts: facts of the raw data.
        settings: ``patch_size`` (height, width), ``stride``, ``scale``, ``label_threshold``, ``val_fraction``,
            ``test_fraction``, ``seed`` and ``value_range`` of :func:`~.prepare.prepare`.
        progress: whether to show progress bars.

    Returns:
        Entries per section, with paths relative to ``folder``.

    Raises:
        ValueError: no patch has a class, or no ROI is left to train on.
    """
    size, threshold = settings["patch_size"], settings["label_threshold"]
    split = split_rois(pixels_of, groups, settings["val_fraction"], settings["test_fraction"], settings["seed"])
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in split}
    for section, stems in split.items():
        images, masks = PLACES[section]
        for stem in tqdm(stems, desc=f"write {section}", disable=not progress):
            image, mask = rescale(*_read(*pairs[stem], facts, settings["value_range"]), settings["scale"])
            pieces = [((0, 0), image, mask)]
            if section == "training":
                image, mask = pad_to(image, mask, size, facts.white_value)
                corners = cut(mask.shape, size, settings["stride"] or min(size))
                boxes = [(y, x, slice(y, y + size[0]), slice(x, x + size[1])) for y, x in corners]
                pieces = [((y, x), image[rows, columns], mask[rows, columns]) for y, x, rows, columns in boxes]
            for position, piece, truth in pieces:
                name = stem
                label = image_level_label(truth, facts.num_classes, threshold)
                if section == "training":
                    if not any(label):
                        continue
                    name += f"-{position[0]}-{position[1]}[{' '.join(map(str, label))}]"
                entry = {"image": f"{images}/{name}.png", "mask": f"{masks}/{name}.png", "label": label}
                entry["group"] = groups[stem]
                if section == "training":
                    entry["position"] = list(position)
                    if groups[stem] != stem:
                        entry["region"] = stem
                write_image(folder / entry["image"], piece)
                write_mask(folder / entry["mask"], truth, facts)
                sections[section].append(entry)
    if not sections["training"]:
        raise ValueError(f"no patch has a class that fills more than {threshold} of it: lower label_threshold")
    return sections


def _read(
    image_path: Path,
    mask_path: Path,
    facts: DatasetFacts,
    value_range: Sequence[float] | None,
    shares: MaskShares | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    image, _ = read_eight_bits(image_path, value_range)
    mask = read_classes(mask_path, facts, shares)
    if image.shape[:2] != mask.shape:
        raise ValueError(f"{mask_path}: found {mask.shape} px (H, W), its image has {image.shape[:2]}")
    return image, mask
