"""Sets that are used where they are: copies of those images and masks alone that training could not read as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.facts import DatasetFacts
from ..core.image_writers import write_image, write_mask
from ..core.images import image_header, read_image
from ..core.names import unique_names
from .mask_values import MaskShares, read_classes, refuse_unnamed
from .white_choice import WhiteShares, sample

__all__ = ["CONVERTED", "convert", "read_eight_bits", "white_shares"]

#: Folder of the copies in a prepared dataset.
CONVERTED = "converted"

Sections = dict[str, list[dict[str, Any]]]


def read_eight_bits(path: str | Path, value_range: Sequence[float] | None) -> tuple[np.ndarray, bool]:
    """Read an image, one of other than 8 bits by ``value_range``.

    Args:
        path: image.
        value_range: values that become 0 and 255, if any; an image of 8 bits is left as it is.

    Returns:
        ``(H, W, 3)`` uint8, and whether the range was needed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, or not 8 bits where there is no range.
    """
    needed = value_range is not None and not image_header(path).eight_bits
    return read_image(path, value_range=value_range if needed else None), needed


def convert(
    sections: Mapping[str, Sequence[Mapping[str, Any]]],
    target: Path,
    folder: Path,
    facts: DatasetFacts,
    value_range: Sequence[float] | None,
    progress: bool = True,
) -> tuple[Sections, MaskShares, list[str]]:
    """Sections of a dataset whose masks are class indices and whose images have 8 bits; shares of the masks' values.

    Masks are copied if ``facts.mask_values`` says what their values mean, images of other than 8 bits if there is a
    ``value_range``; all others stay where they are. Entries name what was copied as ``raw_mask`` and ``raw_image``.

    Args:
        sections: entries with paths that are absolute or relative to ``target``.
        target: folder of the datalist.
        folder: folder that is filled in its place: copies go into its :data:`CONVERTED`.
        facts: facts of the raw data.
        value_range: see :func:`read_eight_bits`.
        progress: whether to show a progress bar.

    Returns:
        The sections, the shares, and a message for each entry that was left out as it cannot be converted.

    Raises:
        ValueError: values of masks that ``facts.mask_values`` says nothing of.
    """
    shares, skipped = MaskShares(), []
    names = {
        key: dict(zip(paths, unique_names(paths), strict=True))
        for key in ("image", "mask")
        for paths in [list(dict.fromkeys(str(e[key]) for es in sections.values() for e in es if e.get(key)))]
    }
    found: Sections = {}
    for section, entries in sections.items():
        found[section] = []
        bar = tqdm(entries, desc=f"read {section}", disable=not progress or not (names["mask"] or value_range), leave=False)
        for entry in bar:
            entry = dict(entry)
            try:
                if entry.get("mask"):
                    _convert_mask(entry, names["mask"], target, folder, facts, shares)
                if value_range is not None:
                    _convert_image(entry, names["image"], target, folder, value_range)
            except (OSError, ValueError) as error:
                if facts.mask_values or value_range is not None:
                    skipped.append(str(error))
                    continue
                # what is not converted is not needed here: the check reads all of it and lists its faults
            found[section].append(entry)
    refuse_unnamed(shares, facts)
    return found, shares, skipped


def white_shares(
    sections: Mapping[str, Sequence[Mapping[str, Any]]], places: Sequence[Path], facts: DatasetFacts, seed: int
) -> WhiteShares:
    """Measure white on a sample of a dataset's images.

    Args:
        sections: entries whose masks are class indices.
        places: folders that their relative paths are in, the first that has the file counts.
        facts: facts of the prepared data.
        seed: seed of the sample.
    """
    shares = WhiteShares()
    for entry in sample([e for entries in sections.values() for e in entries], seed):
        try:
            mask = read_classes(_find(entry["mask"], places), facts) if entry.get("mask") else None
            shares.add(read_image(_find(entry["image"], places)), mask, facts)
        except (OSError, ValueError):
            continue  # the check lists it
    return shares


def _find(name: str, places: Sequence[Path]) -> Path:
    return next((place / name for place in places if (place / name).is_file()), places[0] / name)


def _convert_mask(
    entry: dict[str, Any], names: Mapping[str, str], target: Path, folder: Path, facts: DatasetFacts, shares: MaskShares
) -> None:
    mask = read_classes(target / entry["mask"], facts, shares)
    if facts.mask_values:
        name = f"{CONVERTED}/masks/{names[entry['mask']]}.png"
        write_mask(folder / name, mask, facts)
        entry.update(mask=name, raw_mask=entry["mask"])


def _convert_image(
    entry: dict[str, Any], names: Mapping[str, str], target: Path, folder: Path, value_range: Sequence[float]
) -> None:
    image, scaled = read_eight_bits(target / entry["image"], value_range)
    if scaled:
        name = f"{CONVERTED}/images/{names[entry['image']]}.png"
        write_image(folder / name, image)
        entry.update(image=name, raw_image=entry["image"])
