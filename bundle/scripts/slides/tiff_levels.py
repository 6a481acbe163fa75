"""One level of a slide in a TIFF file: where its tiles or strips lie, and what their samples mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .slide_pixels import over_white

__all__ = ["TiffLevel"]

_MOST_SEGMENT = 2**28  # bytes of one decoded tile or strip
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_STRAIGHT = 2


class TiffLevel:
    """A level.

    Args:
        series: tifffile's series of its page, or of its three pages, one a colour.
        file_size: bytes of the file.

    Attributes:
        size: (H, W).
        channels: samples of a pixel, over all planes.
        rows_at: from a row to its place in the file, if it lies there as it is; ``None``: it must be decoded.

    Raises:
        ValueError: truncated, or not 8-bit grey, RGB or a palette's.
    """

    def __init__(self, series: Any, file_size: int) -> None:
        self.pages = [page.aspage() for page in series.pages]
        page = self.pages[0]
        self.size = int(page.imagelength), int(page.imagewidth)
        self.photometric, samples = int(page.photometric), int(page.samplesperpixel)
        if len(self.pages) not in (1, 3) or (len(self.pages) == 3 and (samples != 1 or series.axes[0] not in "CSQI")):
            raise ValueError(f"found a stack of {len(self.pages)} planes, expected one, or one for each of RGB")
        if int(page.imagedepth) > 1 or page.dtype != np.uint8 or int(page.bitspersample) != 8:
            raise ValueError(f"found samples of {page.bitspersample} bits ({page.dtype}), expected 8: save it so")
        self.channels = samples * len(self.pages)
        colours = {_RGB: 3, _YCBCR: 3, _PALETTE: 1}.get(self.photometric, 1)
        known = self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR)
        extra = tuple(int(v) for v in page.extrasamples)
        grey = len(self.pages) == 3 and self.photometric == _BLACK_IS_ZERO
        self.alpha = samples == colours + 1 and extra[:1] in ((1,), (_STRAIGHT,))
        self.multiplied = self.alpha and extra[0] == 1
        if not known or not (grey or samples == colours or self.alpha or (samples == 3 and colours == 1 and not extra)):
            name = getattr(page.photometric, "name", page.photometric)
            raise ValueError(f"found {samples} channels of {name}, expected 8-bit grey or RGB: save it as RGB")
        self.palette = np.asarray(page.colormap) if self.photometric == _PALETTE else None
        self._lay_out(page, file_size)

    def _lay_out(self, page: Any, file_size: int) -> None:
        height, width = self.size
        self.planar = int(page.planarconfig) == 2 and self.channels > 1 and len(self.pages) == 1
        high, wide = (
            (int(page.tilelength), int(page.tilewidth)) if page.is_tiled else (min(int(page.rowsperstrip), height), width)
        )
        inner = 1 if self.planar else int(page.samplesperpixel)
        self.segment_size, self.segment_bytes = (high, wide), high * wide * inner
        self.across, self.down = math.ceil(width / wide), math.ceil(height / high)
        expected = self.across * self.down * (self.channels if self.planar else 1)
        for one in self.pages:
            if one.imagelength != height or one.imagewidth != width or len(one.dataoffsets) != expected:
                raise ValueError(f"damaged: found {len(one.dataoffsets)} strips or tiles, expected {expected}")
            ends = np.asarray(one.dataoffsets, np.int64) + np.asarray(one.databytecounts, np.int64)
            if len(one.databytecounts) != expected or ends.max() > file_size:
                raise ValueError("truncated: some of its strips or tiles are beyond the file's end; copy it anew")
        self.rows_at: Callable[[int], int] | None = None
        plain = int(page.compression) == 1 and not page.is_tiled and not self.planar and len(self.pages) == 1
        if plain and int(page.predictor) == 1 and int(page.fillorder) == 1:
            row = width * inner
            counts = np.asarray(page.databytecounts, np.int64)
            rows = np.minimum(high, height - high * np.arange(self.down))
            if (counts >= rows * row).all():
                offsets = page.dataoffsets
                self.rows_at = lambda at: int(offsets[at // high]) + (at % high) * row
        if self.rows_at is None and self.segment_bytes > _MOST_SEGMENT:
            raise ValueError(
                f"found {'tiles' if page.is_tiled else 'strips'} of {high} x {wide} px, each of which is decoded whole: "
                "save it in tiles of 256 or 512 px"
            )

    @property
    def blank(self) -> int:
        """Value of the samples of tiles that the file leaves out: white."""
        return 0 if self.photometric == _WHITE_IS_ZERO or self.alpha else 255

    def page_of(self, index: int) -> tuple[Any, int]:
        """The page of a segment, and its number there."""
        each = self.across * self.down * (self.channels if self.planar else 1)
        return self.pages[index // each], index % each

    def segments(self, top: int, left: int, height: int, width: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Tiles or strips that a box touches: their number, and their (row, column, first channel)."""
        high, wide = self.segment_size
        planes = self.channels if self.planar or len(self.pages) > 1 else 1
        for plane in range(planes):
            for y in range(top // high, (top + height - 1) // high + 1):
                for x in range(left // wide, (left + width - 1) // wide + 1):
                    yield plane * self.across * self.down + y * self.across + x, (y * high, x * wide, plane)

    def rgb(self, samples: np.ndarray) -> np.ndarray:
        """Samples ``(H, W, channels)`` as RGB over white, ``(H, W, 3)`` uint8."""
        if self.palette is not None:
            colours = self.palette >> 8 if self.palette.max() > 255 else self.palette
            return colours.astype(np.uint8).T[np.minimum(samples[..., 0], colours.shape[1] - 1)]
        colours, alpha = (samples[..., :-1], samples[..., -1:]) if self.alpha else (samples, None)
        if self.photometric == _WHITE_IS_ZERO:
            colours = 255 - colours
        if colours.shape[2] == 1:
            colours = np.repeat(colours, 3, axis=2)
        if alpha is None:
            return np.ascontiguousarray(colours)
        if self.multiplied:
            return np.minimum(colours.astype(np.uint16) + (255 - alpha), 255).astype(np.uint8)
        return over_white(np.concatenate([colours, alpha], axis=2))
