"""Labels of a slide on disk, row by row, from which every output is made and at whose end a killed run goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

__all__ = ["NOT_SEGMENTED", "LabelRows"]

#: Value of map pixels that could not be read, and so are none of the classes, nor background.
NOT_SEGMENTED = 255


class LabelRows:
    """A label map ``(H, W)`` uint8 as a file of its bytes, written from top to bottom.

    Not memory-mapped, as mapped pages count as memory of the process. A row that a killed process wrote in part does not
    count. Use it as a context.

    Args:
        path: the file; one that is there is continued.
        size: (H, W) of the whole map in px.

    Raises:
        ValueError: the file holds more than the map has.
    """

    def __init__(self, path: str | Path, size: Sequence[int]) -> None:
        self.path = Path(path)
        self.size = (int(size[0]), int(size[1]))
        self._file: BinaryIO = open(self.path, "a+b", buffering=0)  # noqa: SIM115
        self.done = os.fstat(self._file.fileno()).st_size // self.size[1]
        if self.done > self.size[0]:
            self._file.close()
            raise ValueError(f"{self.path}: holds {self.done} rows of a label map of {self.size[0]}; remove it")
        self._file.truncate(self.done * self.size[1])

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows, ``(height, W)`` uint8.

        Raises:
            ValueError: they are of another width or type, or more than are missing.
            OSError: the disk is full.
        """
        if rows.dtype != np.uint8 or rows.shape[1:] != self.size[1:] or self.done + len(rows) > self.size[0]:
            raise ValueError(f"expected at most {self.size[0] - self.done} rows of {self.size[1]} bytes, found {rows.shape}")
        self._file.seek(0, os.SEEK_END)
        left = memoryview(np.ascontiguousarray(rows)).cast("B")
        try:
            while left:
                left = left[self._file.write(left) :]  # not buffered: it outlives the process, if not the machine
        except OSError as error:
            error.filename = str(self.path)
            raise
        self.done += len(rows)

    def read(self, top: int, height: int) -> np.ndarray:
        """Rows ``(height, W)`` uint8 from ``top`` on; fewer at the end of what is written."""
        height = max(0, min(height, self.done - top))
        self._file.seek(top * self.size[1])
        found = np.frombuffer(self._file.read(height * self.size[1]), np.uint8)
        return found.reshape(height, self.size[1])

    def __enter__(self) -> LabelRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
