"""From a slide to its labels in one pass down it, in memory that grows with its width alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from ..core.white import white_background
from ..inference.windows import WindowLook
from .blend import Blend
from .strip import Strip
from .window_grid import WindowGrid
from .window_values import WindowValues

__all__ = ["Band", "Stream"]

# White is white in components of at least so many pixels: what lies that far from a pixel cannot change what it is.
_MARGIN = 50
# Columns of the map whose maps are joined at once.
_COLUMNS = 2048


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
class _Windows:
    """Windows of one size with one top: their left columns and pixels ``(N, height, width, 3)`` uint8."""

    size: int  # number of the size
    top: int
    lefts: list[int]
    pixels: np.ndarray


@dataclass(frozen=True)
class _Rows:
    """Rows of windows, the rows of the map that are done with them, and white there."""

    windows: list[_Windows]
    first: int
    last: int
    spans: list[tuple[int, int]]
    white: list[np.ndarray | None]
    tissue: np.ndarray  # (last - first, W) bool


@dataclass(frozen=True)
class Stream:
    """Windows of a slide, row by row, through networks, and their blended maps to labels.

    The map is that of one pass over the whole slide at once, on white where windows reach over its end, as
    :class:`~scripts.inference.MultiWindowInferer` averages it over sizes of windows. Reading goes on in a thread while the
    networks work.

    Args:
        grids: the windows of each size, the largest first.
        looks: how they are looked at; finds ``maps`` ``(N, C, height, width)`` and, in the largest alone, maybe ``classes``
            ``(N, C)``.
        join: gives class probabilities ``(N, C, H, W)`` of the means of ``maps`` and ``classes``, each of that shape.
        read: gives a box (top, left, height, width) of the map as ``(height, width, 3)`` uint8.
        tissue: gives rows (top, height) of the tissue mask, ``(height, W)`` bool; outside it is background.
        classes: number C of classes.
        background: label of what is no tissue.
        white: whether white pixels of the tissue are background too.
        device: where the networks work.
        least_tissue: share of a window's core that tissue must exceed for the window to be looked at.
        probabilities: give them with the labels.
    """

    grids: Sequence[WindowGrid]
    looks: Sequence[WindowLook]
    join: Callable[[Mapping[str, torch.Tensor]], torch.Tensor]
    read: Callable[[int, int, int, int], np.ndarray]
    tissue: Callable[[int, int], np.ndarray]
    classes: int
    background: int
    white: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    least_tissue: float = 0.0
    probabilities: bool = False

    def bands(self, done: int = 0) -> Iterator[Band]:
        """Bands of the map from row ``done`` on, equal to the last bit wherever one begins."""
        main = self.grids[0]
        width = max(main.size[1], *(grid.window[1] for grid in self.grids))
        blends = [Blend(self.classes, width, grid.window, self._held(grid)) for grid in self.grids]
        values = WindowValues(blends[0].weight.numpy())
        rows = self._rows(done)
        with ThreadPoolExecutor(1, "read-slide") as pool:
            coming = pool.submit(next, rows, None)
            while (row := coming.result()) is not None:
                coming = pool.submit(next, rows, None)  # no more than what is done next waits
                for windows in row.windows:
                    self._look(windows, blends[windows.size], values)
                if row.last > done:
                    yield self._band(row, blends, values, max(row.first, done))
                for blend in blends:
                    blend.clear(row.first, main.step[0])
                values.clear(row.first + main.step[0])

    def _look(self, windows: _Windows, blend: Blend, values: WindowValues) -> None:
        look = self.looks[windows.size]
        for number in range(0, len(windows.lefts), look.batch_size):
            part = slice(number, number + look.batch_size)
            batch = torch.from_numpy(windows.pixels[part]).to(self.device).permute(0, 3, 1, 2)  # channels last
            with torch.inference_mode():
                found = look(batch.float().div_(255))
                blend.add(windows.top, windows.lefts[part], found["maps"])
            if "classes" in found:
                values.add(windows.top, windows.lefts[part], found["classes"].float().cpu().numpy())

    def _band(self, row: _Rows, blends: Sequence[Blend], values: WindowValues, first: int) -> Band:
        """Rows from ``first`` on of those that are done."""
        part = slice(first - row.first, None)
        labels = np.full(row.tissue.shape, self.background, np.uint8)
        kept = np.zeros((self.classes, *row.tissue.shape), np.float32) if self.probabilities else None
        for left, right in _pieces(row.spans):
            box = (row.first, row.last - row.first, left, right)
            found, seen = _mean(blends, [look.weight for look in self.looks], box)
            means = {"maps": found, "classes": values.means(*box)} if values else {"maps": found}
            found = self.join({name: torch.from_numpy(maps)[None] for name, maps in means.items()})[0].numpy()
            tissue = row.tissue[:, left:right] & seen
            labels[:, left:right][tissue] = _likeliest(found)[tissue]
            if kept is not None:
                kept[:, :, left:right] = found * tissue
        for (left, right), white in zip(row.spans, row.white, strict=True):
            if white is not None:
                labels[:, left:right][white] = self.background
        count, pixels = sum(len(windows.lefts) for windows in row.windows), int(row.tissue[part].sum())
        return Band(first, labels[part], count, pixels, None if kept is None else kept[:, part])

    def _held(self, grid: WindowGrid) -> int:
        """Rows of the map that windows of a grid reach over while rows of the largest are worked on."""
        main = self.grids[0]
        return main.window[0] if grid is main else max(main.window[0], grid.window[0] + main.step[0])

    def _rows(self, done: int) -> Iterator[_Rows]:
        """Rows of windows that reach below row ``done`` of the map: a row of the largest, and those of the others that begin
        where it is the last to."""
        main, margin = self.grids[0], _MARGIN if self.white else 0
        (height, width), step = main.size, main.step[0]
        held, wide = max(map(self._held, self.grids)), max(grid.window[1] for grid in self.grids)
        strip = Strip(self.read, width, max(held, step + margin) + margin, wide + margin)
        # row below, left columns and width of the windows that reach into what is to come
        seen: list[tuple[int, list[int], int]] = []
        begin = min(max(0, -((grid.window[0] - 1 - done) // grid.step[0])) * grid.step[0] for grid in self.grids)
        start = min(main.rows - 1, begin // step)
        rows = [-(-start * step // grid.step[0]) for grid in self.grids]  # next of each size
        for number in range(start, main.rows):
            first, last = number * step, height if number == main.rows - 1 else min(height, (number + 1) * step)
            tops: list[tuple[int, int, list[int]]] = []
            for size, grid in enumerate(self.grids):
                while rows[size] < grid.rows and (number == main.rows - 1 or rows[size] * grid.step[0] < last):
                    lefts = grid.lefts(rows[size], self.tissue, self.least_tissue)
                    tops.append((size, grid.top(rows[size]), lefts))
                    rows[size] += 1
            new = [(top + self.grids[size].window[0], lefts, self.grids[size].window[1]) for size, top, lefts in tops]
            seen = [*(row for row in seen if row[0] > first), *new]
            spans = _joined([(left, left + columns) for _, lefts, columns in seen for left in lefts])
            reach = max(last + margin, *(end for end, _, _ in new))
            upper = max(0, min(first - margin, *(top for _, top, _ in tops)))
            strip.load(upper, reach, [(left - margin, right + margin) for left, right in spans])
            inside = [(left, min(right, width)) for left, right in spans]
            yield _Rows(
                [self._cut(strip, *row) for row in tops], first, last, inside,
                [self._white(strip, first, last, *span) for span in inside], self.tissue(first, last - first),
            )  # fmt: skip

    def _cut(self, strip: Strip, size: int, top: int, lefts: list[int]) -> _Windows:
        window = self.grids[size].window
        pixels = [strip.get(top, left, *window) for left in lefts]
        return _Windows(size, top, lefts, np.stack(pixels) if pixels else np.empty((0, *window, 3), np.uint8))

    def _white(self, strip: Strip, top: int, last: int, left: int, right: int) -> np.ndarray | None:
        if not self.white:
            return None
        pixels = strip.get(top - _MARGIN, left - _MARGIN, last - top + 2 * _MARGIN, right - left + 2 * _MARGIN)
        return white_background(pixels)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _pieces(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in pieces, so that what is made of them takes little memory."""
    for left, right in spans:
        for first in range(left, right, _COLUMNS):
            yield first, min(right, first + _COLUMNS)


def _mean(blends: Sequence[Blend], weights: Sequence[int], box: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean over sizes of windows that have seen a pixel, ``(C, height, width)``, and whether one has."""
    total, some = blends[0].means(*box)
    if len(blends) > 1:
        total *= weights[0]
        count = some * np.float32(weights[0])
        for blend, weight in zip(blends[1:], weights[1:], strict=True):
            means, seen = blend.means(*box)
            total += weight * means
            count += weight * seen
        some = count > 0
        total /= np.maximum(count, 1)
    return total, some


def _likeliest(maps: np.ndarray) -> np.ndarray:
    """Highest channel of ``(C, H, W)``, ``(H, W)`` uint8, the first of equals."""
    best, label = maps[0].copy(), np.zeros(maps.shape[1:], np.uint8)
    for channel in range(1, len(maps)):  # a pass over each: arg-max over the first axis strides through memory
        np.copyto(label, channel, where=maps[channel] > best)
        np.maximum(best, maps[channel], out=best)
    return label


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans without overlap, from left to right."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
