"""A slide, read at any µm/px: from the nearest finer level, resampled so that neighbouring reads fit together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.geometry import as_mpp
from ..core.paths import shown
from .openslide_files import OpenSlidePixels, openslide_vendor
from .slide_grid import GridAxis, halves, parts
from .slide_mpp import slide_mpp
from .slide_pixels import Box, Level, SlidePixels, UnreadableRegion
from .tiff_chain import check_whole
from .tiff_slides import TiffPixels, is_ome, is_tiff

__all__ = ["Slide", "open_slide"]

_SAME = 1e-3  # share by which a level's pixels may differ from those wanted and still be taken as they are
_LEAST_LOST = 64  # px of the grid: the smallest part that is tried alone where something cannot be read


def open_slide(path: str | Path, mpp: float | Sequence[float] | None = None) -> Slide:
    """Open a slide.

    Args:
        path: its file: SVS, NDPI, MRXS, SCN, BIF, DICOM (one file of the series), TIFF (tiled, striped, OME), ...
        mpp: its µm/px at level 0, square or (y, x); ``None``: what its file says.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a slide, truncated, of pixels that are not 8-bit grey or RGB, or its µm/px is absent or implausible.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{shown(path)}: is a folder, expected the file of a slide (of DICOM: one file of the series)")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise type(error)(f"{shown(path)}: {error.strerror}, expected a slide") from error
    if empty:
        raise ValueError(f"{shown(path)}: is empty, expected a slide")
    pixels = _pixels(path)
    try:
        found, source = slide_mpp(path, mpp, pixels.stated, pixels.hint)
    except ValueError:
        pixels.close()
        raise
    return Slide(path, pixels, found, source)


def _pixels(path: Path) -> SlidePixels:
    vendor = openslide_vendor(path)
    if vendor != "hamamatsu" and is_tiff(path):  # NDPI counts beyond 4 GB in a way of its own
        check_whole(path)
    if vendor not in (None, "generic-tiff"):
        return OpenSlidePixels(path)
    if not is_tiff(path):
        raise ValueError(f"{shown(path)}: is not a slide: neither OpenSlide nor tifffile knows its format")
    if vendor and not is_ome(path):  # of OME-TIFF it sees neither the pixel size nor all levels
        try:
            return OpenSlidePixels(path)
        except ValueError:
            pass  # tifffile says better what is wrong, or reads it
    return TiffPixels(path)


class Slide:
    """An open slide; use it in a ``with`` block, from any number of threads.

    Boxes are (top, left, height, width). A *grid* is the slide's bounds in pixels of some µm/px; its origin is their corner.

    Args:
        path: its file.
        pixels: the open file.
        mpp: pixel size (y, x) of level 0 in µm/px.
        mpp_from: whose word that is: ``"given"``, or a place in the file.

    Attributes:
        size: (H, W) of level 0.
        bounds: what was scanned, in px of level 0 (MRXS, BIF); elsewhere the whole slide.
        levels: (downsample y, downsample x, (H, W)) of each level, from the finest.
    """

    def __init__(self, path: Path, pixels: SlidePixels, mpp: tuple[float, float], mpp_from: str) -> None:
        self.path, self.mpp, self.mpp_from = path, mpp, mpp_from
        self._pixels = pixels
        self.levels: list[Level] = pixels.levels
        self.size = pixels.levels[0].size
        self.bounds: Box = pixels.bounds

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._pixels.close()

    def grid(self, mpp: float | Sequence[float]) -> tuple[int, int]:
        """Size (H, W) of the slide's bounds in pixels of ``mpp`` µm, rounded, at least one."""
        return self._grid(as_mpp(mpp, "mpp"))

    def _grid(self, mpp: tuple[float, float]) -> tuple[int, int]:
        height, width = (
            max(1, round(side * own / wanted)) for side, own, wanted in zip(self.bounds[2:], self.mpp, mpp, strict=True)
        )
        return height, width

    def to_level0(self, y: float, x: float, mpp: float | Sequence[float], of_bounds: bool = False) -> tuple[float, float]:
        """The place (y, x) of a point of the grid of ``mpp`` in px of level 0.

        Args:
            y: from the grid's upper edge, in its px: 0 is the edge itself, 0.5 the middle of the first row.
            x: from its left edge.
            mpp: µm/px of the grid.
            of_bounds: count from the corner of the bounds, as QuPath does, instead of that of the slide.
        """
        top, left = (0, 0) if of_bounds else self.bounds[:2]
        wanted = as_mpp(mpp, "mpp")
        return top + y * wanted[0] / self.mpp[0], left + x * wanted[1] / self.mpp[1]

    def read(
        self,
        top: int,
        left: int,
        height: int,
        width: int,
        mpp: float | Sequence[float],
        lost: list[Box] | None = None,
    ) -> np.ndarray:
        """A box of the grid of ``mpp``.

        A pixel has the same value in every box that holds it (to one grey level), whatever the size of the box.

        Args:
            top: first row; the box may reach beyond the grid, which is white there, as is what was not scanned.
            left: first column.
            height: rows.
            width: columns.
            mpp: µm/px of the grid, square or (y, x).
            lost: where the boxes are put, in px of the grid, that cannot be read: they come white, and nothing is raised.

        Returns:
            ``(height, width, 3)`` uint8 RGB.

        Raises:
            UnreadableRegion: a part is damaged, and there is no ``lost``; the slide can be read on.
            OSError: the file is no longer there.
        """
        return self._read((top, left, height, width), as_mpp(mpp, "mpp"), lost)

    def _read(self, box: Box, wanted: tuple[float, float], lost: list[Box] | None = None) -> np.ndarray:
        top, left, height, width = box
        image = np.full((height, width, 3), 255, np.uint8)
        rows, columns = (
            range(max(first, 0), min(first + count, most))
            for first, count, most in zip((top, left), (height, width), self._grid(wanted), strict=True)
        )
        if not rows or not columns:
            return image
        level = self._level_for(wanted)
        axes = [self._axis(level, axis, wanted) for axis in (0, 1)]
        for part in parts(rows, columns, axes[0].step, axes[1].step):
            self._fill(image, (top, left), level, axes, part, lost)
        return image

    def thumbnail(self, longest: int) -> tuple[np.ndarray, tuple[float, float]]:
        """The slide's bounds as a picture whose longer side has ``longest`` px, or fewer if the slide has.

        What cannot be read is white in it.

        Returns:
            ``(h, w, 3)`` uint8, and how many px of level 0 (y, x) one of its px is.
        """
        factor = max(1.0, max(self.bounds[2:]) / longest)
        mpp = tuple(own * factor for own in self.mpp)
        return self._read((0, 0, *self._grid(mpp)), mpp, []), (factor, factor)

    def _level_for(self, mpp: tuple[float, float]) -> int:
        """The coarsest level whose pixels are not larger than those wanted."""
        finer = [
            index
            for index, level in enumerate(self.levels)
            if all(own * down <= wanted * (1 + _SAME) for own, down, wanted in zip(self.mpp, level[:2], mpp, strict=True))
        ]
        return max(finer, key=lambda index: self.levels[index].y, default=0)

    def _axis(self, level: int, axis: int, mpp: tuple[float, float]) -> GridAxis:
        down, length = self.levels[level][axis], self.levels[level].size[axis]
        first, count = self.bounds[axis] / down, self.bounds[axis + 2] / down
        low = min(math.floor(first), length - 1)
        return GridAxis(first, mpp[axis] / self.mpp[axis] / down, low, max(low + 1, min(length, math.ceil(first + count))))

    def _fill(
        self,
        image: np.ndarray,
        corner: tuple[int, int],
        level: int,
        axes: Sequence[GridAxis],
        part: tuple[range, range],
        lost: list[Box] | None,
    ) -> None:
        """Read one part of the grid into its place in the image whose corner in the grid is given."""
        rows, columns = part
        try:
            pixels = self._sample(level, axes, rows, columns)
        except UnreadableRegion:
            if lost is None:
                raise
            if max(len(rows), len(columns)) <= _LEAST_LOST:
                lost.append((rows.start, columns.start, len(rows), len(columns)))
                return
            for quarter in ((y, x) for y in halves(rows) for x in halves(columns)):
                self._fill(image, corner, level, axes, quarter, lost)
            return
        y, x = rows.start - corner[0], columns.start - corner[1]
        image[y : y + len(rows), x : x + len(columns)] = pixels

    def _sample(self, level: int, axes: Sequence[GridAxis], rows: range, columns: range) -> np.ndarray:
        """A part of the grid from a level; what all parts agree on is where in the level each pixel lies."""
        if all(abs(axis.step - 1) < _SAME for axis in axes):
            y, x = axes[0].nearest(rows), axes[1].nearest(columns)
            first, west = int(y[0]), int(x[0])
            found = self._pixels.read_level(level, first, west, int(y[-1]) + 1 - first, int(x[-1]) + 1 - west)
            return found if found.shape[:2] == (len(y), len(x)) else found[np.ix_(y - first, x - west)]
        (top, bottom), (left, right) = axes[0].around(rows), axes[1].around(columns)
        ends = [
            (max(a, axis.low), min(b, axis.high)) for (a, b), axis in zip(((top, bottom), (left, right)), axes, strict=True)
        ]
        found = self._pixels.read_level(level, ends[0][0], ends[1][0], ends[0][1] - ends[0][0], ends[1][1] - ends[1][0])
        # at the slide's edge its last pixel goes on, so that the filter is the same everywhere
        pad = [(ends[0][0] - top, bottom - ends[0][1]), (ends[1][0] - left, right - ends[1][1]), (0, 0)]
        if any(map(any, pad)):
            found = np.pad(found, pad, mode="edge")
        y, x = axes[0].of(rows, top), axes[1].of(columns, left)
        box = (x[0], y[0], x[1], y[1])
        return np.asarray(Image.fromarray(found).resize((len(columns), len(rows)), Image.Resampling.BILINEAR, box))
