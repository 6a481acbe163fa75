"""What patches are cut from: an image or a whole slide, read box by box."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.geometry import read_geometry
from ..core.images import image_size, read_image
from ..core.paths import shown
from ..core.white import white_background
from ..slides.slide_files import is_slide_name
from ..slides.slide_reading import open_slide
from ..slides.tissue_mask import find_tissue

__all__ = ["SLIDE_MPP", "PatchSource", "is_slide", "open_source"]

logger = logging.getLogger(__name__)

#: µm/px that slides are read at where nothing is said: 20x.
SLIDE_MPP = 0.5
# px of a TIFF above which it is read as a slide
_LARGE = 2**25
_TIFF = (".tif", ".tiff")
_SAME = 0.05  # share by which µm/px may differ


@dataclass(frozen=True)
class PatchSource:
    """An image that is open.

    Args:
        size: (H, W) in px of the patches.
        mpp: µm/px (y, x) of these, where known.
        read: gives the box (top, left, height, width) as ``(height, width, 3)`` uint8; white beyond the image.
        tissue: gives the share of such a box that is tissue, in [0, 1].
        close: to be called at the end.
    """

    size: tuple[int, int]
    mpp: tuple[float, float] | None
    read: Callable[[int, int, int, int], np.ndarray]
    tissue: Callable[[int, int, int, int], float]
    close: Callable[[], None]


def is_slide(path: Path) -> bool:
    """Whether a file is read as a whole slide: by its name; of TIFFs those of several levels or above 33 million px, and
    those that are no image."""
    if path.suffix.lower() not in _TIFF:
        return is_slide_name(path)
    try:
        if math.prod(image_size(path)) > _LARGE:
            return True
    except ValueError:
        return True
    try:
        with closing(open_slide(path, 1.0)) as slide:
            return len(slide.levels) > 1
    except (ValueError, OSError):
        return False


def open_source(path: Path, mpp: float | None = None) -> PatchSource:
    """Open an image or a slide.

    Args:
        path: its file.
        mpp: µm/px of the patches: a slide is read at it, :data:`SLIDE_MPP` by default; an image is taken as it is, and
            refused where it states another.

    Raises:
        ValueError: it cannot be read, or has another µm/px; the message names the file.
        OSError: the same, of the system.
    """
    return _slide(path, mpp or SLIDE_MPP) if is_slide(path) else _image(path, mpp)


def _slide(path: Path, mpp: float) -> PatchSource:
    slide = open_slide(path)
    try:
        if max(slide.mpp) > mpp * (1 + _SAME):
            raise ValueError(f"{shown(path)}: has {max(slide.mpp):.4g} µm/px, coarser than the {mpp:.4g} of the patches")
        mask = find_tissue(slide, mpp)
    except BaseException:
        slide.close()
        raise
    return PatchSource(slide.grid(mpp), (mpp, mpp), lambda *box: slide.read(*box, mpp), mask.share, slide.close)


def _image(path: Path, mpp: float | None) -> PatchSource:
    pixels, stated = read_image(path), read_geometry(path).mpp
    if mpp is not None and stated and max(abs(own / mpp - 1) for own in stated) > _SAME:
        raise ValueError(f"{shown(path)}: has {stated[1]:.4g} µm/px, expected {mpp:.4g}; resample it, or set another mpp")
    known = stated or (None if mpp is None else (mpp, mpp))

    def read(*box: int) -> np.ndarray:
        return _cut(pixels, box)

    def tissue(*box: int) -> float:
        return float(1 - white_background(_cut(pixels, box)).mean())

    return PatchSource(pixels.shape[:2], known, read, tissue, lambda: None)


def _cut(pixels: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """A box of an image, white beyond it."""
    top, left, height, width = box
    found = np.full((height, width, 3), 255, np.uint8)
    y, x = max(0, top), max(0, left)
    part = pixels[y : max(y, top + height), x : max(x, left + width)]
    found[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]] = part
    return found
