"""Where a slide's tissue is: found in a small picture of it, drawn by a person, or everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from ..core.geometry import as_mpp
from .slide_pixels import Box
from .slide_reading import Slide

__all__ = ["TissueMask", "all_tissue", "find_tissue", "mask_grid"]

_MASK_MPP = 8.0  # µm/px
_MOST_PIXELS = 2**23  # of a mask
_BAND = 512  # rows
# Difference of the largest and the smallest of red, green and blue: glass has less than the first on every slide (Otsu alone
# divides a blank one by its noise), tissue more than the second (Otsu alone divides one without glass by its stain).
_LEAST, _MOST = 15, 45
_SPECK = 10_000.0  # µm²
_HOLE = 25_000.0  # µm²


class TissueMask:
    """Which pixels of a slide's label map are tissue; kept at a coarser size than the map.

    Args:
        mask: ``(h, w)`` bool over the slide's bounds.
        size: (H, W) of the map.
        mpp: µm/px of the map, (y, x).
        step: px of the map that one of the mask is, (y, x).

    Attributes:
        area_mm2: area of the tissue.
    """

    def __init__(self, mask: np.ndarray, size: tuple[int, int], mpp: tuple[float, float], step: tuple[float, float]) -> None:
        self.mask, self.size, self.mpp, self.step = mask, size, mpp, step
        self._sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
        np.cumsum(mask, axis=0, dtype=np.int32, out=self._sums[1:, 1:])
        np.cumsum(self._sums[1:, 1:], axis=1, out=self._sums[1:, 1:])
        self.area_mm2 = self.share(0, 0, *size) * math.prod(size) * math.prod(mpp) / 1e6

    def rows(self, top: int, height: int) -> np.ndarray:
        """Rows of the map: ``(height, W)`` bool; rows beyond the map are no tissue."""
        at = np.arange(top, top + height)
        rows, columns = (
            np.clip(((v + 0.5) / step).astype(np.int64), 0, length - 1)
            for v, step, length in zip((at, np.arange(self.size[1])), self.step, self.mask.shape, strict=True)
        )
        return self.mask[rows][:, columns] & ((at >= 0) & (at < self.size[0]))[:, None]

    def share(self, top: int, left: int, height: int, width: int) -> float:
        """Share of a box of the map that is tissue, in [0, 1]; what is beyond the map is none."""
        ends = [
            [min(max(v, 0), most) / step for v in (first, first + count)]
            for first, count, most, step in zip((top, left), (height, width), self.size, self.step, strict=True)
        ]
        (y0, y1), (x0, x1) = ends
        tissue = self._below(y1, x1) - self._below(y0, x1) - self._below(y1, x0) + self._below(y0, x0)
        found = tissue * math.prod(self.step) / max(1, height * width)
        return min(1.0, max(0.0, round(found, 9)))  # sums of fractions come near to 0 and 1

    def _below(self, y: float, x: float) -> float:
        """Tissue above and left of a point of the mask, in its px."""
        i, j = (min(int(at), length - 1) for at, length in zip((y, x), self.mask.shape, strict=True))
        v, u = min(y - i, 1.0), min(x - j, 1.0)
        upper = self._sums[i, j] * (1 - u) + self._sums[i, j + 1] * u
        lower = self._sums[i + 1, j] * (1 - u) + self._sums[i + 1, j + 1] * u
        return float(upper * (1 - v) + lower * v)


def mask_grid(slide: Slide, finest: float = _MASK_MPP) -> float:
    """µm/px of a slide's mask: ``finest``, or as many as keep it below 8 million px."""
    area = math.prod(side * own for side, own in zip(slide.bounds[2:], slide.mpp, strict=True))
    return max(finest, math.sqrt(area / _MOST_PIXELS), *slide.mpp)


def all_tissue(slide: Slide, mpp: float | Sequence[float]) -> TissueMask:
    """Everything that was scanned.

    Args:
        slide: an open slide.
        mpp: µm/px of its label map.
    """
    size = slide.grid(mpp)
    return TissueMask(np.ones((1, 1), bool), size, as_mpp(mpp, "mpp"), (float(size[0]), float(size[1])))


def find_tissue(
    slide: Slide,
    mpp: float | Sequence[float],
    mask_mpp: float = _MASK_MPP,
    speck: float = _SPECK,
    hole: float = _HOLE,
) -> TissueMask:
    """Find a slide's tissue by its colour, in a small picture of it.

    Tissue is what is more colourful than Otsu's threshold, which is held within limits so that a blank slide has none and a
    slide without glass nothing but tissue. Blue, green, black and bright red ink is none, nor is what lies under it. What
    cannot be read of the small picture counts as tissue: a finer level may be whole, and who reads it tells of what is not.

    Args:
        slide: an open slide.
        mpp: µm/px of its label map.
        mask_mpp: µm/px of the picture; more for slides that would have more than 8 million px.
        speck: smaller pieces of tissue are none, µm².
        hole: smaller holes are tissue, µm².
    """
    wanted = as_mpp(mpp, "mpp")
    scale = mask_grid(slide, mask_mpp)
    height, width = slide.grid(scale)
    lost: list[Box] = []
    colour, ink = np.empty((height, width), np.uint8), np.empty((height, width), bool)
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        picture = slide.read(top, 0, rows.stop - top, width, scale, lost)
        colour[rows] = picture.max(2) - picture.min(2)
        ink[rows] = _ink(picture)
    ink = ndimage.binary_dilation(ink, iterations=2)  # its edges, mixed with glass
    tissue = colour > _threshold(colour[~ink])
    tissue &= ~ink
    pixel = scale * scale
    tissue = _without_small(tissue, speck / pixel)
    tissue = ~_without_small(~tissue, hole / pixel) & ~ink
    for top, left, high, wide in lost:
        tissue[top : top + high, left : left + wide] = True
    return TissueMask(tissue, slide.grid(wanted), wanted, (scale / wanted[0], scale / wanted[1]))


def _threshold(colour: np.ndarray) -> float:
    counts = np.bincount(colour.ravel(), minlength=256)
    if np.count_nonzero(counts) < 2:
        return _LEAST
    return float(np.clip(threshold_otsu(hist=(counts, np.arange(256))), _LEAST, _MOST))


def _ink(picture: np.ndarray) -> np.ndarray:
    """Pixels of a felt pen. Red is the least of no colour of H&E, whose blue is violet; nothing stained is as red as red
    ink, or both as dark and as grey as black.
    """
    red, green, blue = np.moveaxis(picture.astype(np.int16), 2, 0)
    cold = (green - red >= 20) | ((blue - red >= 40) & (green >= red))
    warm = red - np.maximum(green, blue) >= 130
    brightest = picture.max(2)
    black = (brightest <= 80) & (brightest - picture.min(2) <= 25)
    return cold | warm | black


def _without_small(mask: np.ndarray, least: float) -> np.ndarray:
    """A mask without its pieces of fewer than ``least`` px."""
    pieces, count = ndimage.label(mask)
    if not count:
        return mask
    large = np.bincount(pieces.ravel(), minlength=count + 1) >= least
    large[0] = False
    return large[pieces]
