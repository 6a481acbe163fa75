"""Small slides of drawn pixels, and damage to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

GLASS, STAIN = 242, (200, 110, 170)


def picture(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Smooth noise, ``(H, W, 3)`` uint8."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((*size, 3)), (3, 3, 0))
    return np.rint((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def half(image: np.ndarray) -> np.ndarray:
    """An image of half the size, by averages."""
    h, w = (n // 2 for n in image.shape[:2])
    return image[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).mean((1, 3)).round().astype(np.uint8)


def stained(size: tuple[int, int] = (640, 512), glass: int = 100) -> np.ndarray:
    """A box of stained tissue with a margin of glass."""
    image = np.full((*size, 3), GLASS, np.uint8)
    grain = picture(size).astype(float) / 4 - 32
    tissue = np.clip(np.array(STAIN) + grain, 0, 255).astype(np.uint8)
    box = (slice(glass, size[0] - glass), slice(glass, size[1] - glass))
    image[box] = tissue[box]
    return image


def write_slide(path: Path, image: np.ndarray, levels: int = 3, mpp: float | None = 0.5, **options) -> Path:
    """A pyramid of pages that OpenSlide reads, unless it has strips."""
    options = {"tile": (256, 256), "compression": "zlib"} | options
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            size = {"resolution": (1e4 / mpp / 2**level,) * 2, "resolutionunit": "centimeter"} if mpp else {}
            file.write(image, photometric="rgb", subfiletype=int(level > 0), metadata=None, **size, **options)
            image = half(image)
    return path


def damage(path: Path, number: int) -> None:
    """Overwrite a tile or strip of level 0."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[number], page.databytecounts[number]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * count)
