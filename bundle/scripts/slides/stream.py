"""From a slide to its labels in one pass down it, in memory that grows with its width alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from ..core.white import white_background
from .blend import Blend
from .strip import Strip
from .window_grid import WindowGrid

__all__ = ["Band", "Stream"]

# White is white in components of at least so many pixels: what lies that far from a pixel cannot change what it is.
_MARGIN = 50


@dataclass(frozen=True)
class Band:
    """Rows of labels that are done.

    Args:
        top: first row in the map.
        labels: ``(height, W)`` uint8.
        windows: how many the network has looked at since the band before.
        tissue: tissue pixels in it.
        probabilities: ``(C, height, W)`` float32 of its tissue, where asked for.
    """

    top: int
    labels: np.ndarray
    windows: int
    tissue: int
    probabilities: np.ndarray | None = None


@dataclass(frozen=True)
class _Row:
    """A row of windows: their left columns and pixels, the rows of the map that are done with it, and white there."""

    top: int
    lefts: list[int]
    windows: np.ndarray  # (N, height, width, 3) uint8
    first: int
    last: int
    spans: list[tuple[int, int]]
    white: list[np.ndarray | None]
    tissue: np.ndarray  # (last - first, W) bool


@dataclass(frozen=True)
class Stream:
    """Windows of a slide, row by row, through a network, and their blended maps to labels.

    The map is that of one pass over the whole slide at once, on white where windows reach over its end. Reading goes on in a
    thread while the network works.

    Args:
        grid: the windows.
        read: gives a box (top, left, height, width) of the map as ``(height, width, 3)`` uint8.
        tissue: gives rows (top, height) of the tissue mask, ``(height, W)`` bool; outside it is background.
        predict: gives class probabilities ``(N, C, height, width)`` of windows ``(N, 3, height, width)`` in [0, 1].
        classes: number C of classes.
        background: label of what is no tissue.
        white: whether white pixels of the tissue are background too.
        batch_size: windows in a forward pass.
        device: where the network works.
        least_tissue: share of a window's core that tissue must exceed for the window to be looked at.
        probabilities: give them with the labels.
    """

    grid: WindowGrid
    read: Callable[[int, int, int, int], np.ndarray]
    tissue: Callable[[int, int], np.ndarray]
    predict: Callable[[torch.Tensor], torch.Tensor]
    classes: int
    background: int
    white: bool = False
    batch_size: int = 4
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    least_tissue: float = 0.0
    probabilities: bool = False

    def bands(self, done: int = 0) -> Iterator[Band]:
        """Bands of the map from row ``done`` on, equal to the last bit wherever one begins."""
        grid = self.grid
        blend = Blend(self.classes, max(grid.size[1], grid.window[1]), grid.window)
        rows = self._rows(done)
        with ThreadPoolExecutor(1, "read-slide") as pool:
            coming = pool.submit(next, rows, None)
            while (row := coming.result()) is not None:
                coming = pool.submit(next, rows, None)  # no more than one row of windows waits
                for number in range(0, len(row.lefts), self.batch_size):
                    part = slice(number, number + self.batch_size)
                    batch = torch.from_numpy(row.windows[part]).to(self.device).permute(0, 3, 1, 2)  # channels last
                    with torch.inference_mode():
                        blend.add(row.top, row.lefts[part], self.predict(batch.float().div_(255)))
                if row.last > done:
                    first = max(row.first, done)
                    part = slice(first - row.first, None)
                    found = self._probabilities(blend, row)[:, part] if self.probabilities else None
                    tissue = int(row.tissue[part].sum())
                    yield Band(first, self._labels(blend, row)[part], len(row.lefts), tissue, found)
                blend.clear(row.first, grid.step[0])

    def _labels(self, blend: Blend, row: _Row) -> np.ndarray:
        labels = np.full(row.tissue.shape, self.background, np.uint8)
        for (left, right), white in zip(row.spans, row.white, strict=True):
            found = blend.labels(row.first, row.last - row.first, left, right, self.background)
            tissue = row.tissue[:, left:right]
            labels[:, left:right][tissue] = found[tissue]
            if white is not None:
                labels[:, left:right][white] = self.background
        return labels

    def _probabilities(self, blend: Blend, row: _Row) -> np.ndarray:
        found = np.zeros((self.classes, *row.tissue.shape), np.float32)
        for left, right in row.spans:
            tissue = row.tissue[:, left:right]
            found[:, :, left:right] = blend.probabilities(row.first, row.last - row.first, left, right) * tissue
        return found

    def _rows(self, done: int) -> Iterator[_Row]:
        """Rows of windows that reach below row ``done`` of the map."""
        grid, (height, width), margin = self.grid, self.grid.size, _MARGIN if self.white else 0
        window, step = grid.window, grid.step
        strip = Strip(self.read, width, max(window[0], step[0] + margin) + margin, window[1] + margin)
        seen: list[tuple[int, list[int]]] = []  # last row and left columns of the windows that reach into what is to come
        for number in range(max(0, -((window[0] - 1 - done) // step[0])), grid.rows):
            first, top = number * step[0], grid.top(number)
            lefts = grid.lefts(number, self.tissue, self.least_tissue)
            last = height if number == grid.rows - 1 else min(height, first + step[0])
            seen = [*((end, columns) for end, columns in seen if end > first), (top + window[0], lefts)]
            spans = _joined([(left, left + window[1]) for _, columns in seen for left in columns])
            reach = max(top + window[0], last + margin)
            strip.load(max(0, min(top, first - margin)), reach, [(left - margin, right + margin) for left, right in spans])
            windows = [strip.get(top, left, *window) for left in lefts]
            inside = [(left, min(right, width)) for left, right in spans]
            yield _Row(
                top, lefts, np.stack(windows) if windows else np.empty((0, *window, 3), np.uint8), first, last, inside,
                [self._white(strip, first, last, *span) for span in inside], self.tissue(first, last - first),
            )  # fmt: skip

    def _white(self, strip: Strip, top: int, last: int, left: int, right: int) -> np.ndarray | None:
        if not self.white:
            return None
        pixels = strip.get(top - _MARGIN, left - _MARGIN, last - top + 2 * _MARGIN, right - left + 2 * _MARGIN)
        return white_background(pixels)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans without overlap, from left to right."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
