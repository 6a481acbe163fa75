"""Slides by OpenSlide: SVS, NDPI, MRXS, SCN, BIF, DICOM, tiled TIFF and others."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.extras import extra
from ..core.paths import shown
from .slide_pixels import Box, Level, StatedMpp, UnreadableRegion, check_slide_size, over_white, whole_downsample

__all__ = ["OpenSlidePixels", "openslide_vendor"]

_CACHE = 64 * 2**20  # bytes of decoded tiles that OpenSlide keeps: a row of tiles of a wide slide
_BLOCK = 512  # px of a level


def openslide_vendor(path: Path) -> str | None:
    """OpenSlide's name of a file's format, such as ``"aperio"``; ``None``: not a slide to it.

    Raises:
        ValueError: OpenSlide is not installed.
    """
    openslide = extra("openslide")
    try:
        return openslide.OpenSlide.detect_format(str(path))
    except openslide.OpenSlideError:
        return None


class OpenSlidePixels:
    """A slide that OpenSlide reads, from any number of threads; see ``SlidePixels``.

    Raises:
        ValueError: it cannot be opened: truncated or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._openslide = extra("openslide")
        self._lock = threading.Lock()
        try:
            self._slide = self._opened()
            self._describe(self._slide)
        except self._openslide.OpenSlideError as error:
            raise ValueError(
                f"{shown(path)}: truncated or damaged, OpenSlide cannot open it ({error}); copy it anew"
            ) from error
        self._blocks: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()

    def _opened(self) -> Any:
        slide = self._openslide.OpenSlide(str(self.path))
        with contextlib.suppress(self._openslide.OpenSlideVersionError):
            slide.set_cache(self._openslide.OpenSlideCache(_CACHE))
        return slide

    def _describe(self, slide: Any) -> None:
        properties = dict(slide.properties)
        sizes = [(h, w) for w, h in slide.level_dimensions]
        self._downsamples = slide.level_downsamples  # as OpenSlide reckons: from the ratio of sizes
        self.levels = []
        for down, size in zip(self._downsamples, sizes, strict=True):
            own = whole_downsample(sizes[0], size, down) or down
            self.levels.append(Level(own, own, size))
        check_slide_size(self.path, sizes[0])
        self.bounds = _bounds(properties, sizes[0])
        self.stated = _stated(properties)
        power = properties.get("openslide.objective-power")
        self.hint = f"an objective of {power}x" if power else ""
        # where its downsample is no whole number, OpenSlide interpolates between pixels of a level, by another fraction for
        # every box: such levels are read in fixed blocks
        self._whole = [abs(d - round(d)) * max(size) / d < 1 / 256 for d, size in zip(self._downsamples, sizes, strict=True)]

    def read_level(self, level: int, top: int, left: int, height: int, width: int) -> np.ndarray:
        if self._whole[level]:
            return self._read(level, top, left, height, width)
        image = np.empty((height, width, 3), np.uint8)
        for y in range(top // _BLOCK * _BLOCK, top + height, _BLOCK):
            for x in range(left // _BLOCK * _BLOCK, left + width, _BLOCK):
                block = self._block(level, y, x)
                rows = slice(max(y, top), min(y + _BLOCK, top + height))
                columns = slice(max(x, left), min(x + _BLOCK, left + width))
                image[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = block[
                    rows.start - y : rows.stop - y, columns.start - x : columns.stop - x
                ]
        return image

    def _block(self, level: int, top: int, left: int) -> np.ndarray:
        key = (level, top, left)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        height, width = (min(_BLOCK, n - at) for n, at in zip(self.levels[level].size, (top, left), strict=True))
        block = self._read(level, top, left, height, width)
        with self._lock:
            self._blocks[key] = block
            while len(self._blocks) > self.levels[level].size[1] // _BLOCK + 8:
                self._blocks.popitem(last=False)
        return block

    def _read(self, level: int, top: int, left: int, height: int, width: int) -> np.ndarray:
        scale = self._downsamples[level]
        place = (round(left * scale), round(top * scale))
        slide = self._slide
        try:
            return _rgb(slide.read_region(place, level, (width, height)))
        except self._openslide.OpenSlideError:
            pass
        # after an error OpenSlide reads nothing more from a file, not even what is whole, nor for other threads: open anew,
        # and ask a file of this call's own whose fault it is
        try:
            with self._lock:
                if self._slide is slide:
                    self._slide = self._opened()
            with self._opened() as own:
                return _rgb(own.read_region(place, level, (width, height)))
        except self._openslide.OpenSlideError as error:
            if not self.path.exists():
                raise FileNotFoundError(f"{shown(self.path)}: is no longer there") from error
            box = (place[1], place[0], round(height * scale), round(width * scale))
            raise UnreadableRegion(self.path, box, str(error)) from error

    def close(self) -> None:
        self._slide.close()
        self._blocks.clear()


def _rgb(region: Any) -> np.ndarray:
    return over_white(np.asarray(region))


def _bounds(properties: dict[str, str], size: tuple[int, int]) -> Box:
    """What was scanned (MRXS, BIF), within the slide."""
    try:
        left, top, width, height = (int(properties[f"openslide.bounds-{name}"]) for name in ("x", "y", "width", "height"))
    except (KeyError, ValueError):
        return 0, 0, *size
    top, bottom = max(0, top), min(size[0], top + height)
    left, right = max(0, left), min(size[1], left + width)
    return (top, left, bottom - top, right - left) if bottom > top and right > left else (0, 0, *size)


def _stated(properties: dict[str, str]) -> StatedMpp | None:
    found = [properties.get(f"openslide.mpp-{axis}") for axis in "yx"]
    try:
        y, x = (float(one or other) for one, other in (found, found[::-1]))
    except (TypeError, ValueError):
        return None
    generic = properties.get("openslide.vendor") == "generic-tiff"
    return StatedMpp((y, x), "TIFF resolution" if generic else "header")
