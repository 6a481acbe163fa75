"""The label map of a slide as a pyramidal OME-TIFF of palette pixels, which viewers of slides and of microscopy open."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ..core.atomic import atomic_path
from ..core.facts import DatasetFacts
from .label_rows import NOT_SEGMENTED, LabelRows

__all__ = ["label_palette", "write_label_tiff"]

_IDS = uuid.UUID("0b6f3c6e-7d5c-5f1b-8a55-3d1c2f4b9e70")
_GREY = (160, 160, 160)
_TILE = 512
_CLASSIC = 2**32 - 2**25  # bytes of a pyramid, not compressed, that certainly fit a TIFF of 32-bit offsets


def label_palette(facts: DatasetFacts) -> np.ndarray:
    """``(256, 3)`` uint8: the classes' colours, grey for what was not segmented, white for everything else."""
    palette = np.full((256, 3), 255, np.uint8)
    palette[: facts.num_classes] = facts.palette
    palette[NOT_SEGMENTED] = _GREY
    return palette


def write_label_tiff(
    path: str | Path,
    rows: LabelRows,
    facts: DatasetFacts,
    mpp: tuple[float, float],
    place: dict[str, Any] | None = None,
) -> None:
    """Write a label map atomically, row by row: memory grows with its width alone.

    Tiles of 512 px, zlib; each level of the pyramid is every second pixel of the one before, never an average of labels. The
    levels are SubIFDs, as OME-TIFF has them, and stand in the chain of pages as well, where OpenSlide looks for them.

    Args:
        path: target, ``.ome.tif``.
        rows: the label map.
        facts: classes and palette.
        mpp: pixel size (y, x) in µm/px.
        place: where it lies on its slide, kept in the file's description beside the classes.

    Raises:
        OSError: it cannot be written.
    """
    height, width = rows.size
    levels = 1
    while max(height, width) / 2 ** (levels - 1) > _TILE:
        levels += 1
    content = {"classes": list(facts.classes), "background": facts.white_value, "not segmented": NOT_SEGMENTED}
    options: dict[str, Any] = {
        "dtype": np.uint8,
        "tile": (_TILE, _TILE),
        "photometric": "palette",
        "colormap": label_palette(facts).T.astype(np.uint16) * 257,
        "compression": "zlib",
        "resolutionunit": "CENTIMETER",
        "maxworkers": 1,
    }
    described = json.dumps({**content, **(place or {})})
    metadata = {
        "axes": "YX",
        "UUID": f"urn:uuid:{uuid.uuid5(_IDS, described)}",  # not of the time: equal maps, equal files
        "Name": facts.name,
        "Description": described,
        "PhysicalSizeX": mpp[1], "PhysicalSizeXUnit": "µm", "PhysicalSizeY": mpp[0], "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    big = height * width * 4 / 3 > _CLASSIC
    with atomic_path(path) as temporary:
        with tifffile.TiffWriter(temporary, bigtiff=big, ome=True) as tiff:
            for level in range(levels):
                step = 2**level
                shape = (-(-height // step), -(-width // step))
                extra = {"subifds": levels - 1, "metadata": metadata} if level == 0 else {"subfiletype": 1, "metadata": None}
                density = tuple(1e4 / (m * step) for m in mpp[::-1])
                tiff.write(_tiles(rows, shape, step), shape=shape, resolution=density, **options, **extra)
        _link(temporary)


def _tiles(rows: LabelRows, shape: tuple[int, int], step: int) -> Iterator[np.ndarray]:
    """Tiles of a level, row by row, filled up at the edges."""
    height, width = shape
    for top in range(0, height, _TILE):
        count = min(_TILE, height - top)
        band = np.full((_TILE, -(-width // _TILE) * _TILE), NOT_SEGMENTED, np.uint8)
        if step == 1:
            band[:count, :width] = rows.read(top, count)
        else:  # the rows that are seen, and no others
            for row in range(count):
                band[row, :width] = rows.read((top + row) * step, 1)[0, ::step]
        for left in range(0, width, _TILE):
            yield np.ascontiguousarray(band[:, left : left + _TILE])


def _link(path: Path) -> None:
    """Link the SubIFDs into the chain of pages, each to the next."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        offsets = [page.offset, *(page.subifds or ())]
        big, order = tiff.is_bigtiff, tiff.byteorder
    head, size, number = ("Q", 20, "Q") if big else ("H", 12, "I")
    with open(path, "r+b") as file:
        for offset, following in zip(offsets, [*offsets[1:], 0], strict=True):
            file.seek(offset)
            (tags,) = struct.unpack(order + head, file.read(struct.calcsize(head)))
            file.seek(offset + struct.calcsize(head) + tags * size)
            file.write(struct.pack(order + number, following))
