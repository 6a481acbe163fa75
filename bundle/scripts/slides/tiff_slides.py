"""Slides by tifffile: what OpenSlide refuses (striped TIFF), or sees less of (OME-TIFF: its pixel size, its levels)."""

from __future__ import annotations

import logging
import threading
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ..core.paths import shown
from .slide_pixels import Box, Level, StatedMpp, UnreadableRegion, check_slide_size, whole_downsample
from .tiff_levels import TiffLevel
from .tiff_mpp import tiff_mpp

__all__ = ["TiffPixels", "is_ome", "is_tiff"]

_CACHE = 64 * 2**20  # bytes of decoded tiles that are kept
_DEFLATE = (8, 32946)
_DEFLATE_RATIO = 1032  # most bytes that one compressed byte can stand for


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF and BigTIFF do."""
    with open(path, "rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_ome(path: Path) -> bool:
    """Whether a TIFF's first page has OME-XML; ``False`` of a file that cannot be read."""
    try:
        with _opened(path) as file:
            return bool(file.is_ome)
    except Exception:  # whatever damaged headers make of it
        return False


def _opened(path: Path) -> tifffile.TiffFile:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters of its findings is raised
    return tifffile.TiffFile(path, _multifile=False)


class TiffPixels:
    """The largest picture of a TIFF file, with its smaller copies; tile by tile, strip by strip. See ``SlidePixels``.

    Raises:
        ValueError: truncated or damaged, several planes, or other values than 8-bit grey, RGB or a palette's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._bytes = 0
        try:
            self._file = _opened(path)
        except Exception as error:
            raise ValueError(
                f"{shown(path)}: truncated or damaged, no TIFF can be read from it ({error}); copy it anew"
            ) from error
        try:
            self._describe()
        except ValueError as error:
            self._file.close()
            raise ValueError(f"{shown(path)}: {error}") from error
        except Exception as error:  # parsers of metadata raise everything on damaged files
            self._file.close()
            raise ValueError(
                f"{shown(path)}: truncated or damaged ({type(error).__name__}: {error}); copy it anew"
            ) from error

    def _describe(self) -> None:
        series = self._file.series
        index = max(range(len(series)), key=lambda i: series[i].keyframe.imagelength * series[i].keyframe.imagewidth)
        found: list[TiffLevel] = []
        for one in series[index].levels:
            try:
                level = TiffLevel(one, self._file.filehandle.size)
            except ValueError:
                if not found:
                    raise
                continue  # a smaller copy is not needed
            if not found or _same_picture(found[0].size, level.size):
                found.append(level)
        self._levels = sorted(found, key=lambda level: -level.size[0])
        height, width = self._levels[0].size
        check_slide_size(self.path, (height, width))
        self.levels = []
        for level in self._levels:
            whole = whole_downsample((height, width), level.size)
            self.levels.append(Level(whole or height / level.size[0], whole or width / level.size[1], level.size))
        self.bounds: Box = (0, 0, height, width)
        self.stated: StatedMpp | None = tiff_mpp(self._file, index)
        self.hint = ""

    def read_level(self, level: int, top: int, left: int, height: int, width: int) -> np.ndarray:
        source = self._levels[level]
        if source.rows_at is not None:
            return self._rows(source, level, (top, left, height, width))
        image = np.full((height, width, source.channels), source.blank, np.uint8)
        for index, place in source.segments(top, left, height, width):
            segment = self._segment(level, index, place)
            if segment is None:
                continue
            y, x, plane = place
            rows = slice(max(y, top), min(y + segment.shape[0], top + height))
            columns = slice(max(x, left), min(x + segment.shape[1], left + width))
            if rows.stop <= rows.start or columns.stop <= columns.start:
                continue
            part = segment[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
            where = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            image[where][..., plane : plane + part.shape[2]] = part
        return source.rgb(image)

    def _segment(self, level: int, index: int, place: tuple[int, int, int]) -> np.ndarray | None:
        """A decoded tile or strip, ``(h, w, samples)``; ``None``: the file leaves it out."""
        key = (level, index)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        source = self._levels[level]
        page, number = source.page_of(index)
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not count:
            return None
        try:
            with self._lock:
                self._file.filehandle.seek(offset)
                data = self._file.filehandle.read(count)
            if len(data) < count:
                raise ValueError("the file ends before it")
            _check_inflated(page, data, source.segment_bytes)
            segment = page.decode(data, number, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
            segment = segment.reshape(segment.shape[-3:])
        except Exception as error:  # codecs raise everything on damaged data
            if "imagecodecs" in str(error):
                raise ValueError(
                    f"{shown(self.path)}: {page.compression.name} compression needs the package imagecodecs: "
                    "pip install '.[slides]'"
                ) from error
            if not self.path.exists():
                raise FileNotFoundError(f"{shown(self.path)}: is no longer there") from error
            y, x = self.levels[level][:2]
            high, wide = source.segment_size
            box = tuple(round(v) for v in (place[0] * y, place[1] * x, high * y, wide * x))
            raise UnreadableRegion(self.path, box, str(error)) from error
        with self._lock:
            if key not in self._kept:
                self._kept[key] = segment
                self._bytes += segment.nbytes
            while self._bytes > _CACHE and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return segment

    def _rows(self, source: TiffLevel, level: int, box: Box) -> np.ndarray:
        """What is not compressed, however long its strips are, is read by rows."""
        top, left, height, width = box
        image = np.empty((height, width, source.channels), np.uint8)
        for row in range(height):
            offset = source.rows_at(top + row) + left * source.channels
            with self._lock:
                self._file.filehandle.seek(offset)
                data = self._file.filehandle.read(width * source.channels)
            if len(data) < width * source.channels:
                y, x = self.levels[level][:2]
                where = tuple(round(v) for v in (top * y, left * x, height * y, width * x))
                raise UnreadableRegion(self.path, where, "the file ends before it")
            image[row] = np.frombuffer(data, np.uint8).reshape(width, source.channels)
        return source.rgb(image)

    def close(self) -> None:
        self._file.close()
        self._kept.clear()


def _same_picture(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a smaller picture has the shape of a larger one, as far as whole pixels can."""
    down = size[1] / other[1]
    return down > 1 and abs(size[0] / down - other[0]) <= max(2.0, other[0] / 100)


def _check_inflated(page: Any, data: bytes, most: int) -> None:
    """tifffile unpacks a strip or tile whatever its length: see that it is what the header says before.

    Raises:
        ValueError: it is longer.
    """
    if int(page.compression) not in _DEFLATE or len(data) * _DEFLATE_RATIO <= 8 * most:
        return
    stream = zlib.decompressobj()
    stream.decompress(data, most + 1)
    if not stream.eof:
        raise ValueError("longer than its header says")
