"""Cutting annotated regions of interest (ROIs) into patches with image-level labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .folders import without_made
from .listing import by_stem, listed

__all__ = ["cut", "find_rois", "image_level_label", "pad_to", "rescale", "split_groups", "split_rois"]


def find_rois(
    source: str | Path, image_folder: str = "images", mask_folder: str = "masks", leave_out: Sequence[Path] = ()
) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Pair images with masks of the same stem; they may lie in subfolders, which are a part of it.

    Args:
        source: folder of both.
        image_folder: name of the images' folder.
        mask_folder: name of the masks' folder.
        leave_out: folders that are not searched.

    Returns:
        ``{stem: (image, mask)}``, sorted, and a message for each file that could not be looked at.

    Raises:
        FileNotFoundError: a folder is absent or empty.
        ValueError: an image without mask, a mask without image, or two of one stem.
    """
    files: dict[str, dict[str, Path]] = {}
    faults: list[str] = []
    for folder in (image_folder, mask_folder):
        path = Path(source) / folder
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; expected {image_folder}/ and {mask_folder}/ in {source}")
        found, unseen = listed(path, True, leave_out)
        files[folder] = by_stem(without_made(found, path), path)
        faults += unseen
    images, masks = files[image_folder], files[mask_folder]
    alone = sorted(set(images) ^ set(masks))
    if alone:
        message = f"{source}: {len(alone)} images without mask or masks without image: {alone[:5]}"
        if not faults:
            raise ValueError(message)
        faults.append(message)
    return {stem: (images[stem], masks[stem]) for stem in sorted(set(images) & set(masks))}, faults


def rescale(image: np.ndarray, mask: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Resample an ROI: the image with an antialiased filter, the mask by nearest neighbour.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8.
        scale: factor of both sides.
    """
    if scale == 1:
        return image, mask
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    smooth = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(smooth), np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def pad_to(image: np.ndarray, mask: np.ndarray, size: Sequence[int], fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge an ROI that is smaller than a patch: the image by reflection, the mask by ``fill``, right and below."""
    missing = [max(0, s - n) for s, n in zip(size, mask.shape, strict=True)]
    if any(missing):
        image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
        mask = np.pad(mask, ((0, missing[0]), (0, missing[1])), constant_values=fill)
    return image, mask


def cut(shape: Sequence[int], size: Sequence[int], stride: int) -> Iterator[tuple[int, int]]:
    """Upper left corners (y, x) of patches; the last row and column are shifted inside, so that all is covered."""
    rows, columns = (sorted({*range(0, n - s, stride), max(0, n - s)}) for n, s in zip(shape, size, strict=True))
    return ((y, x) for y in rows for x in columns)


def image_level_label(mask: np.ndarray, num_classes: int, threshold: float) -> list[int]:
    """1 for each class that fills more than ``threshold`` of the patch's pixels (white background counted in the whole).

    Args:
        mask: ``(H, W)``.
        num_classes: number of classes C.
        threshold: share in [0, 1).
    """
    share = np.bincount(mask.ravel(), minlength=num_classes)[:num_classes] / mask.size
    return [int(s > threshold) for s in share]


def split_rois(
    pixels_of: Mapping[str, Mapping[int, int]],
    groups: Mapping[str, str],
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> dict[str, list[str]]:
    """Split ROIs by seed, those of a group on one side; see :func:`split_groups`.

    Args:
        pixels_of: per ROI, the classes that it shows and their pixels.
        groups: slide or case of each.
        val_fraction: share of the groups for validation.
        test_fraction: share of the groups for the test.
        seed: seed of the draw.

    Returns:
        ``{"training": stems, "validation": stems, "test": stems}``.

    Raises:
        ValueError: fractions that leave nothing to train on.
    """
    of_group: dict[str, Counter[int]] = {}
    for stem, pixels in pixels_of.items():
        of_group.setdefault(groups[stem], Counter()).update(pixels)
    split = split_groups(of_group, val_fraction, test_fraction, seed)
    return {name: [stem for stem in sorted(pixels_of) if groups[stem] in set(held)] for name, held in split.items()}


def split_groups(
    pixels_of: Mapping[str, Mapping[int, int]], val_fraction: float, test_fraction: float, seed: int
) -> dict[str, list[str]]:
    """Split groups by seed, so that a class that at least three of them have is in every section.

    Classes are placed from the rarest on, each with one group in every section that still lacks it; the remaining ones fill
    the sections up to their fractions. Groups come in an order drawn by the seed, but for a rare class (in fewer than one
    in five groups), of which the one that shows most goes to training: there is little else to learn it from.

    Args:
        pixels_of: per group, the classes that it shows and their pixels.
        val_fraction: share of the groups for validation.
        test_fraction: share of the groups for the test.
        seed: seed of the draw.

    Returns:
        ``{"training": groups, "validation": groups, "test": groups}``.

    Raises:
        ValueError: fractions that leave nothing to train on.
    """
    count = len(pixels_of)
    sizes = {
        name: min(count, max(1, round(fraction * count))) if fraction > 0 and count >= 3 else 0
        for name, fraction in (("test", test_fraction), ("validation", val_fraction))
    }
    if min(val_fraction, test_fraction) < 0 or sum(sizes.values()) >= count:
        raise ValueError(
            f"val_fraction {val_fraction} and test_fraction {test_fraction} of {count} groups of ROIs leave none to train on"
        )
    sizes["training"] = count - sum(sizes.values())
    order = np.random.default_rng(seed).permutation(sorted(pixels_of)).tolist()
    sections: dict[str, list[str]] = {name: [] for name in sizes}
    placed: set[str] = set()
    frequency = {k: sum(k in pixels for pixels in pixels_of.values()) for k in set().union(*pixels_of.values())}
    for k in sorted(frequency, key=lambda k: (frequency[k], k)):
        rare = 5 * frequency[k] < count
        for name in ("training", "test", "validation") if rare else sizes:
            free = [s for s in order if s not in placed and k in pixels_of[s]]
            if free and len(sections[name]) < sizes[name] and not any(k in pixels_of[s] for s in sections[name]):
                chosen = max(free, key=lambda s: pixels_of[s][k]) if rare and name == "training" else free[0]
                sections[name].append(chosen)
                placed.add(chosen)
    rest = iter(s for s in order if s not in placed)
    for name, members in sections.items():
        while len(members) < sizes[name]:
            members.append(next(rest))
    return {name: sorted(sections[name]) for name in ("training", "validation", "test")}
