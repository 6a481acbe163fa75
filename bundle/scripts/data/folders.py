"""Folders of images as they are found: under which names, with which masks, and without what was made of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..core.image_files import image_files
from ..core.images import suffix
from .listing import by_stem, listed
from .preparation import RECORD

__all__ = ["MASKS", "add_masks", "first", "held", "subfolders", "without_made"]

logger = logging.getLogger(__name__)

#: Names of folders of masks.
MASKS = ("mask", "masks")
# file by which a folder is known as a stage's
_STAGE = "stage.json"


def held(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Images of ``img`` with the mask of the same stem under ``mask``, where there is one; and what was not looked at."""
    masks = first(folder, MASKS)
    place = first(folder, ("img", "images", "image")) or folder
    images, faults = listed(place, True, [masks] if masks else ())
    entries: list[dict[str, Any]] = [{"image": image} for image in images]
    if masks:
        found, more = image_files(masks, True)
        faults += [*more, *add_masks(entries, place, found, masks)]
    return entries, faults


def add_masks(entries: Sequence[dict[str, Any]], images: Path, masks: Sequence[Path], folder: Path) -> list[str]:
    """Give each entry the mask of its image's stem; a message for masks that are of no image."""
    mask_of = by_stem(masks, folder)
    stems = [os.path.relpath(entry["image"], images) for entry in entries]
    for entry, stem in zip(entries, stems, strict=True):
        mask = mask_of.pop(Path(stem).as_posix()[: -len(suffix(stem))], None)
        if mask is not None:
            entry["mask"] = mask
    if not mask_of:
        return []
    one = next(iter(mask_of.values()))
    return [f"{folder}: {len(mask_of)} masks are of no image, as {one.name}; give each the name of its image in {images}"]


def without_made(files: Sequence[Path], folder: Path) -> list[Path]:
    """Images without those in folders that a preparation or a run has made below the one that is searched."""

    @cache
    def is_made(place: Path) -> bool:
        return (place / RECORD).is_file() or (place / _STAGE).is_file() or any(place.glob(f"*/{_STAGE}"))

    left = [f for f in files if not any(is_made(folder / p) for p in list(f.relative_to(folder).parents)[:-1])]
    if len(left) < len(files):
        logger.info("%s: %d files that were made from it are left out", folder, len(files) - len(left))
    return left


def subfolders(folder: Path, names: Sequence[str]) -> list[Path]:
    """Folders in a folder that have one of the names, in upper or lower case."""
    return [path for path in sorted(folder.iterdir()) if path.name.lower() in names and path.is_dir()]


def first(folder: Path, names: Sequence[str]) -> Path | None:
    """The one folder in a folder that has one of the names, in upper or lower case, if there is one.

    Raises:
        ValueError: there are several.
    """
    found = subfolders(folder, names)
    if len(found) > 1:
        raise ValueError(
            f"{folder}: found {' and '.join(path.name for path in found)}, expected one of them; move the others away"
        )
    return found[0] if found else None
