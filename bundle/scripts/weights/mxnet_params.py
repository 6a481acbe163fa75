"""Reads MXNet ``.params`` files (lists of named NDArrays) without MXNet, and runs nothing in them.

Layout, little-endian: ``uint64`` magic 0x112, ``uint64`` reserved; ``uint64`` number of arrays, the arrays; ``uint64``
number of names, each ``uint64`` length and bytes. An array starts with a ``uint32``: 0xF993FAC9 (V2) is followed by an
``int32`` storage type, 0xF993FAC8 (V1) by nothing; in both the shape is ``uint32`` dimensions of ``int64`` each. Any other
value is the legacy layout and itself the number of dimensions, of ``uint32`` each. Then ``int32`` device type and id,
``int32`` element type, and the elements. (Apache MXNet 1.x, ``src/ndarray/ndarray.cc``.)
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

import numpy as np

__all__ = ["read_mxnet_params"]

_LIST_MAGIC, _V1, _V2, _V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = {0: np.float32, 1: np.float64, 2: np.float16, 3: np.uint8, 4: np.int32, 5: np.int8, 6: np.int64}
_MAX_DIMENSIONS = 32


def read_mxnet_params(path: str | Path) -> dict[str, np.ndarray]:
    """Read a file of named arrays.

    Args:
        path: file whose names are ``arg:<name>`` for parameters and ``aux:<name>`` for statistics.

    Returns:
        Name, with its prefix, to array; each a copy of its own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, a truncated one, an unknown layout or element type, a name that stands twice; the
            message names file and position.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: empty file, expected MXNet parameters")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(path, data)
        magic, _ = reader.take("QQ")
        if magic != _LIST_MAGIC:
            raise ValueError(f"{path}: found magic {magic:#x}, expected {_LIST_MAGIC:#x} of MXNet parameters")
        arrays = [reader.array() for _ in range(reader.count(4, "arrays"))]
        names = [reader.text() for _ in range(reader.count(8, "names"))]
        if reader.position != len(data):
            raise ValueError(f"{path}: {len(data) - reader.position} bytes behind the end at byte {reader.position}")
    if len(names) != len(arrays):
        raise ValueError(f"{path}: found {len(names)} names for {len(arrays)} arrays")
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a name stands twice: {sorted({n for n in names if names.count(n) > 1})[:3]}")
    return dict(zip(names, arrays, strict=True))


class _Reader:
    """A position in the file that never leaves it."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.position = 0

    def bytes(self, length: int, what: str) -> bytes:
        if length > len(self.data) - self.position:
            raise ValueError(
                f"{self.path}: truncated: {what} at byte {self.position} takes {length} bytes, "
                f"{len(self.data) - self.position} are left"
            )
        self.position += length
        return self.data[self.position - length : self.position]

    def take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(f"<{layout}", self.bytes(struct.calcsize(f"<{layout}"), "a header"))

    def count(self, least: int, what: str) -> int:
        """A number of items, of ``least`` bytes each at least."""
        (number,) = self.take("Q")
        if number * least > len(self.data) - self.position:
            raise ValueError(f"{self.path}: found {number} {what} at byte {self.position - 8}, more than the file can hold")
        return number

    def text(self) -> str:
        (length,) = self.take("Q")
        try:
            return self.bytes(length, "a name").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path}: a name before byte {self.position} is not text") from error

    def array(self) -> np.ndarray:
        start = self.position
        (head,) = self.take("I")
        wide = head in (_V1, _V2)
        if head == _V3:
            raise ValueError(f"{self.path}: array at byte {start} has NumPy semantics (V3), expected legacy, V1 or V2")
        if head == _V2:
            (storage,) = self.take("i")
            if storage != 0:
                raise ValueError(f"{self.path}: array at byte {start} has storage type {storage}, expected 0 (dense)")
        dimensions = self.take("I")[0] if wide else head
        if dimensions > _MAX_DIMENSIONS:
            raise ValueError(f"{self.path}: array at byte {start}: found {dimensions:#x}, expected a known header or shape")
        shape = self.take(("q" if wide else "I") * dimensions)
        if min(shape, default=0) < 0:
            raise ValueError(f"{self.path}: array at byte {start} has shape {shape}")
        if not shape:  # an empty array ends here
            return np.zeros(0, np.float32)
        *_, kind = self.take("iii")
        if kind not in _TYPES:
            raise ValueError(f"{self.path}: array at byte {start} has element type {kind}, expected one of {sorted(_TYPES)}")
        dtype = np.dtype(_TYPES[kind]).newbyteorder("<")
        values = self.bytes(math.prod(shape) * dtype.itemsize, f"an array of shape {shape}")
        return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))
