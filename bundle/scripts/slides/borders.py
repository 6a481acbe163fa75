"""The borders between the classes of a block of labels: lines that two polygons share, simplified once for both."""

from __future__ import annotations

import re

import numpy as np

from .outlines import Rings

__all__ = ["simplified"]

_GRID = 64  # corners lie on 1/64 px: sums of them and of whole px are exact
_ROUNDS = 8

Lines = tuple[np.ndarray, np.ndarray]  # corners (x, y), and where each line's begin


def simplified(rings: Rings, tolerance: float, size: tuple[int, int]) -> np.ndarray:
    """Polygons of the components, valid, their shared borders simplified together.

    A border is drawn through the middles of the pixels' sides, where it may run at most ``tolerance`` beside them (Douglas
    and Peucker), and its corners are then moved so that the areas on both sides stay what they were. Lines that would cross
    or vanish stay exact, as do the corners where three borders meet, and the block's own border.

    Args:
        rings: what :func:`trace` gives.
        tolerance: px; 0: everything stays exact.
        size: (H, W) of the block, which no polygon leaves.

    Returns:
        ``(P,)`` polygons of shapely in px of the block.
    """
    import shapely

    exact = _exact(rings)
    if tolerance <= 0:
        return _polygons(rings, exact)
    lines = _simpler(rings, tolerance, size)
    kept = np.zeros(len(rings.start) - 1, bool)
    for attempt in range(_ROUNDS):
        bad = (_vanished(rings, lines) | _crossing(lines)) & ~kept
        if not bad.any():
            shapes = _polygons(rings, lines)
            wrong = np.flatnonzero(~shapely.is_valid(shapes))
            if not len(wrong):
                return shapes
            bad = _lines_of(rings, wrong)
            near = bad & _near(lines, shapes[wrong]) & ~kept
            bad = near if attempt < _ROUNDS // 2 and near.any() else bad & ~kept
        kept |= bad
        lines = _chosen(exact, lines, kept)
    return _polygons(rings, exact)


def _spans(start: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the corners of some lines, one line after the other, and ``(lines + 1,)`` where each begins."""
    length = np.diff(start)[which]
    begin = np.concatenate([[0], np.cumsum(length)])
    return np.arange(begin[-1]) + np.repeat(start[:-1][which] - begin[:-1], length), begin


def _exact(rings: Rings) -> Lines:
    """The lines as traced, without the corners that they pass straight on."""
    before, after = np.roll(rings.corners, 1, 0), np.roll(rings.corners, -1, 0)
    turns = (before + after != 2 * rings.corners).any(1)
    turns[rings.start[:-1]] = turns[rings.start[1:] - 1] = True
    return rings.corners[turns].astype(float), np.concatenate([[0], np.cumsum(turns)])[rings.start]


def _chosen(exact: Lines, lines: Lines, kept: np.ndarray) -> Lines:
    count = len(kept)
    both = np.concatenate([lines[0], exact[0]])
    start = np.concatenate([lines[1], exact[1][1:] + len(lines[0])])
    at, begin = _spans(start, np.where(kept, count, 0) + np.arange(count))
    return both[at], begin


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


def _simpler(rings: Rings, tolerance: float, size: tuple[int, int]) -> Lines:
    import shapely

    # a line's points: its first corner, the middles of its steps, its last corner; between two of them lies a corner
    count = len(rings.start) - 1
    line = np.repeat(np.arange(count), np.diff(rings.start) + 1)
    start = rings.start + np.arange(count + 1)
    corner = np.arange(len(line)) - line  # the one behind each point; of a line's last point its own
    corner[start[1:] - 1] -= 1
    ahead = rings.corners[corner].astype(float)
    points = (ahead + rings.corners[np.maximum(corner - 1, 0)]) / 2
    points[start[:-1]], points[start[1:] - 1] = rings.corners[rings.start[:-1]], rings.corners[rings.start[1:] - 1]
    numbered = np.column_stack([points, np.arange(len(points))])
    reduced = shapely.simplify(shapely.linestrings(numbered, indices=line), tolerance, preserve_topology=False)
    stays = np.zeros(len(points), bool)
    stays[shapely.get_coordinates(reduced, include_z=True)[:, 2].astype(np.int64)] = True
    stays[start[:-1]] = stays[start[1:] - 1] = True

    # what lies between the border and its chords, twice
    turn = _cross(points[:-1], ahead[:-1]) + _cross(ahead[:-1], points[1:])
    swept = np.concatenate([[0], np.cumsum(turn)])
    at = np.flatnonzero(stays)
    corners, of = points[at], line[at]
    lost = swept[at[1:]] - swept[at[:-1]] + _cross(corners[1:], corners[:-1])
    lost[of[1:] != of[:-1]] = 0
    free = np.ones(len(at), bool)
    free[0] = free[-1] = False
    free[1:] &= of[1:] == of[:-1]
    free[:-1] &= of[1:] == of[:-1]
    share = lost / np.maximum(1, free[1:].astype(int) + free[:-1])
    owed = np.zeros(len(at))
    owed[1:] += share
    owed[:-1] += share
    move = np.zeros_like(corners)
    along = corners[2:] - corners[:-2]
    square = np.maximum((along**2).sum(1), 1e-9)
    move[1:-1] = np.column_stack([along[:, 1], -along[:, 0]]) * (owed[1:-1] / square)[:, None]
    far = np.linalg.norm(move, axis=1)
    move *= (np.minimum(1, tolerance / np.maximum(far, 1e-9)) * free)[:, None]
    moved = np.rint((corners + move) * _GRID) / _GRID
    moved = np.clip(moved, 0, size[::-1])
    return moved, np.searchsorted(at, start)


def _vanished(rings: Rings, lines: Lines) -> np.ndarray:
    """Lines of rings that have less than three corners left."""
    length = np.diff(lines[1])[rings.line] - 1
    few = np.add.reduceat(length, rings.run_of[:-1]) < 3
    bad = np.zeros(len(rings.start) - 1, bool)
    bad[rings.line[np.repeat(few, np.diff(rings.run_of))]] = True
    return bad


def _crossing(lines: Lines) -> np.ndarray:
    """Lines that cross others, or themselves."""
    import shapely

    corners, start = lines
    drawn = shapely.linestrings(corners, indices=np.repeat(np.arange(len(start) - 1), np.diff(start)))
    bad = ~shapely.is_simple(drawn)
    bad[np.unique(shapely.STRtree(drawn).query(drawn, predicate="crosses"))] = True
    return bad


def _lines_of(rings: Rings, parts: np.ndarray) -> np.ndarray:
    """Lines of some components."""
    bad = np.zeros(len(rings.start) - 1, bool)
    for part in parts:
        bad[rings.line[rings.run_of[rings.ring_of[part]] : rings.run_of[rings.ring_of[part + 1]]]] = True
    return bad


def _near(lines: Lines, shapes: np.ndarray) -> np.ndarray:
    """Lines that pass the places where polygons are not valid."""
    import shapely

    corners, start = lines
    drawn = shapely.linestrings(corners, indices=np.repeat(np.arange(len(start) - 1), np.diff(start)))
    places = [re.search(r"\[(\S+) (\S+)\]", reason) for reason in shapely.is_valid_reason(shapes)]
    points = [shapely.Point(float(p[1]), float(p[2])) for p in places if p]
    bad = np.zeros(len(start) - 1, bool)
    if points:
        bad[shapely.STRtree(drawn).query(points, predicate="dwithin", distance=0.1)[1]] = True
    return bad


def _polygons(rings: Rings, lines: Lines) -> np.ndarray:
    import shapely

    corners, start = lines
    at, begin = _spans(start, rings.line)
    length = np.diff(begin)
    inside = np.arange(len(at)) - np.repeat(begin[:-1], length)
    flip = np.repeat(rings.backwards, length)
    at = np.where(flip, at + np.repeat(length, length) - 1 - 2 * inside, at)
    ring = np.repeat(np.arange(len(rings.run_of) - 1), np.diff(rings.run_of))
    ring = np.repeat(ring, length)
    ends = inside == np.repeat(length, length) - 1  # the next run begins there
    drawn = shapely.linearrings(corners[at[~ends]], indices=ring[~ends])
    part = np.repeat(np.arange(len(rings.value)), np.diff(rings.ring_of))
    return shapely.polygons(drawn, indices=part)
