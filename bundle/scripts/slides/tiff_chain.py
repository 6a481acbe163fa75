"""Whether a TIFF file is whole: libraries read on where one that was cut short leaves off."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.paths import shown

__all__ = ["check_whole"]

_MOST_PAGES = 10_000
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
_TYPES = {3: "u2", 4: "u4", 16: "u8"}


def check_whole(path: Path) -> None:
    """See that every page of the file's chain, and every strip and tile of them, lies within the file.

    Raises:
        ValueError: one does not.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        big = struct.unpack(f"{order}H", file.read(2))[0] == 43
        place, entry, counter = (8, 20, 8) if big else (4, 12, 2)
        file.seek(8 if big else 4)
        seen: set[int] = set()
        while at := _number(file.read(place), order):
            if at in seen or len(seen) > _MOST_PAGES:
                raise ValueError(f"{shown(path)}: damaged: its pages are linked in a ring; copy it anew")
            seen.add(at)
            file.seek(at)
            count = _number(file.read(counter), order)
            end = at + counter + count * entry
            if end + place > size:
                raise ValueError(f"{shown(path)}: truncated: a page of it begins beyond its end, {size} bytes; copy it anew")
            tags = np.frombuffer(file.read(count * entry), np.uint8).reshape(count, entry)
            _check_segments(path, file, tags, order, big, size)
            file.seek(end)


def _check_segments(path: Path, file: BinaryIO, tags: np.ndarray, order: str, big: bool, size: int) -> None:
    found = {}
    for tag in tags:
        number, kind = struct.unpack(f"{order}HH", tag[:4].tobytes())
        if number not in (*_OFFSETS, *_COUNTS) or kind not in _TYPES:
            continue
        count = _number(tag[4 : 12 if big else 8].tobytes(), order)
        value = tag[12 if big else 8 :].tobytes()
        length = count * np.dtype(_TYPES[kind]).itemsize
        if length > len(value):
            where = _number(value, order)
            if where + length > size:
                raise ValueError(
                    f"{shown(path)}: truncated: the list of its tiles reaches beyond its end, {size} bytes; copy it anew"
                )
            file.seek(where)
            value = file.read(length)
        found[number] = np.frombuffer(value[:length], order + _TYPES[kind]).astype(np.uint64)
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        one, other = found.get(offsets), found.get(counts)
        if one is not None and other is not None and len(one) == len(other) and len(one) and (one + other).max() > size:
            raise ValueError(
                f"{shown(path)}: truncated: some of its tiles or strips are beyond its end, {size} bytes; copy it anew"
            )


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "<" else "big")
