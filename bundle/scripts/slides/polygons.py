"""Label rows to polygons: a component each, whatever its size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .borders import simplified
from .label_rows import LabelRows
from .outlines import trace

__all__ = ["Component", "polygons"]

_BLOCK = 2048


@dataclass
class Component:
    """Pixels of one class that hang together by their sides.

    Args:
        value: class index.
        shape: valid polygon of shapely, in px of the label map, (x, y), 0 at the edge of its first pixel.
        pixels: number of its pixels in the label map.
        first: (y, x) of its topmost row's leftmost pixel, which no other component has.
    """

    value: int
    shape: Any
    pixels: int
    first: tuple[int, int]


class _Pieces:
    """Pieces of components that may go on below, and which of them are one."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.members: dict[int, list[Component]] = {}
        self.number = 0

    def add(self, pieces: list[Component]) -> int:
        """Number of the first of them; the others follow."""
        first = self.number
        for piece in pieces:
            self.parent[self.number], self.members[self.number] = self.number, [piece]
            self.number += 1
        return first

    def root(self, number: int) -> int:
        while (above := self.parent[number]) != number:
            self.parent[number] = self.parent[above]
            number = above
        return number

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        """Join pieces that lie on both sides of a block's border, pixel by pixel; -1 is none."""
        for a, b in np.unique(np.stack([one, other], 1)[(one >= 0) & (other >= 0)], axis=0).tolist():
            a, b = self.root(a), self.root(b)
            if a != b and self.members[a][0].value == self.members[b][0].value:
                if len(self.members[a]) < len(self.members[b]):
                    a, b = b, a
                self.parent[b] = a
                self.members[a] += self.members.pop(b)

    def closed(self, frontier: np.ndarray) -> Iterator[Component]:
        """Take out the components that no piece of the frontier belongs to."""
        open_ = {self.root(n) for n in np.unique(frontier[frontier >= 0]).tolist()}
        done = [n for n in self.members if n not in open_]
        for number in done:
            yield _united(self.members.pop(number))
        self.parent = {n: r for n in self.parent if (r := self.root(n)) in open_}


def _united(pieces: list[Component]) -> Component:
    import shapely

    if len(pieces) == 1:
        return pieces[0]
    # corners that the blocks' borders have left on straight lines go
    shape = shapely.union_all([p.shape for p in pieces])
    straight = shapely.simplify(shape, 0)
    shape = straight if straight.is_valid else shape
    return Component(pieces[0].value, shape, sum(p.pixels for p in pieces), min(p.first for p in pieces))


def polygons(rows: LabelRows, num_classes: int, tolerance: float = 1.0, block: int = _BLOCK) -> Iterator[Component]:
    """Polygons of the classes' components, 4-connected, with their holes; background and what was not segmented have none.

    Borders that two components share are simplified once for both; see :func:`~.borders.simplified`. Blocks of the map are
    worked on one after the other, and what lies on both sides of their borders is put together. Memory: rows of a block,
    and the polygons that are not finished.

    Args:
        rows: the label map.
        num_classes: values below it are exported.
        tolerance: how far a border may move, in px of the label map; 0: pixel for pixel.
        block: side of a block in px.

    Yields:
        components, as soon as nothing below can belong to them.
    """
    height, width = rows.size
    pieces = _Pieces()
    above = np.full(width, -1)
    for top in range(0, height, block):
        band = rows.read(top, min(block, height - top))
        below, before = np.full(width, -1), np.full(len(band), -1)
        for left in range(0, width, block):
            labels = np.ascontiguousarray(band[:, left : left + block])
            sides = {"top": -1, "bottom": -1, "left": -1, "right": -1}
            rings = trace(labels, num_classes)
            if rings is not None:
                shapes = _shifted(simplified(rings, tolerance, labels.shape), left, top)
                first = (rings.first + np.array([top, left])).tolist()
                found = zip(rings.value.tolist(), shapes, rings.pixels.tolist(), map(tuple, first), strict=True)
                number = pieces.add([Component(*piece) for piece in found])
                sides = {side: np.where(at >= 0, at + number, -1) for side, at in rings.contact.items()}
            here = slice(left, left + labels.shape[1])
            pieces.join(above[here], np.broadcast_to(sides["top"], labels.shape[1]))
            pieces.join(before, np.broadcast_to(sides["left"], len(band)))
            below[here], before = sides["bottom"], np.broadcast_to(sides["right"], len(band))
        above = below
        yield from pieces.closed(above)
    yield from pieces.closed(np.full(1, -1))


def _shifted(shapes: np.ndarray, left: int, top: int) -> np.ndarray:
    import shapely

    return shapely.transform(shapes, lambda corners: corners + np.array([left, top]))
