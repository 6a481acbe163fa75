"""Outlines of the components of a block of labels, cut into the lines that two of them share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Rings", "trace"]


@dataclass
class Rings:
    """Exact outlines of the 4-connected components of a block, cut at the corners where three borders or more meet.

    A step is one side of a pixel; a line is a run of steps from one such corner to the next, or a whole closed ring. Every
    line of two exported components is met twice, once from each side, and kept once.

    Args:
        value: ``(P,)`` label of each component.
        pixels: ``(P,)`` its size.
        ring_of: ``(P + 1,)`` where the rings of each component begin; the first is its outline, the others are holes.
        first: ``(P, 2)`` (y, x) of its topmost pixels' leftmost.
        run_of: ``(R + 1,)`` where the runs of each ring begin.
        line: ``(runs,)`` line of each run.
        backwards: ``(runs,)`` whether the ring meets it from its end.
        corners: ``(N, 2)`` (x, y) of the corners passed on the lines, ends included.
        start: ``(lines + 1,)`` where each line's corners begin.
        contact: for each side of the block ("top", "bottom", "left", "right") the component at each of its pixels, or -1.
    """

    value: np.ndarray
    pixels: np.ndarray
    ring_of: np.ndarray
    first: np.ndarray
    run_of: np.ndarray
    line: np.ndarray
    backwards: np.ndarray
    corners: np.ndarray
    start: np.ndarray
    contact: dict[str, np.ndarray]


def trace(labels: np.ndarray, count: int) -> Rings | None:
    """Outlines of the components, 4-connected, of the values below ``count``.

    Args:
        labels: block ``(H, W)`` uint8.
        count: number of values that are exported.

    Returns:
        the outlines; ``None`` if there are none.
    """
    from rasterio import features

    value, rings, ring_of = [], [], [0]
    for shape, found in features.shapes(labels, mask=labels < count, connectivity=4):
        value.append(int(found))
        rings += shape["coordinates"]
        ring_of.append(len(rings))
    if not value:
        return None
    ring_of = np.array(ring_of)
    begin, toward, step_of = _steps(rings)
    begin, toward, runs = _cut(labels, begin, toward, step_of)
    height, width = labels.shape
    after = begin + toward
    # a step's name is its middle, a corner's the corner, in half pixels
    name = (begin + after)[:, 1] * (2 * width + 1) + (begin + after)[:, 0]
    last = np.append(runs[1:], len(name)) - 1
    corner = begin[:, 1] * (2 * width + 1) + begin[:, 0]
    ends = after[last, 1] * (2 * width + 1) + after[last, 0]
    backwards = np.where(runs == last, corner[runs] > ends, name[runs] > name[last])
    _, kept, line = np.unique(np.minimum(name[runs], name[last]), return_index=True, return_inverse=True)
    length = (last - runs + 2)[kept]
    start = np.concatenate([[0], np.cumsum(length)])
    inside = np.arange(start[-1]) - np.repeat(start[:-1], length)
    flip = np.repeat(backwards[kept], length)
    step = np.repeat(runs[kept], length) + np.where(flip, np.repeat(length, length) - 1 - inside, inside)
    beyond = step > np.repeat(last[kept], length)  # the corner after a run's last step
    corners = np.where(beyond[:, None], after[step - beyond], begin[step - beyond])

    area = np.abs(np.add.reduceat(begin[:, 0] * after[:, 1] - after[:, 0] * begin[:, 1], step_of[:-1])) // 2
    holes = np.arange(len(area)) > np.repeat(ring_of[:-1], np.diff(ring_of))
    pixels = np.add.reduceat(np.where(holes, -area, area), ring_of[:-1])
    # names of corners rise with rows, then with columns: the least of an outline is that of the first pixel
    least = np.minimum.reduceat(corner, step_of[:-1])[ring_of[:-1]]
    part = np.repeat(np.repeat(np.arange(len(value)), np.diff(ring_of)), np.diff(step_of))
    contact = {}
    for side, axis, at, size in (
        ("top", 1, 0, width), ("bottom", 1, height, width), ("left", 0, 0, height), ("right", 0, width, height),
    ):  # fmt: skip
        contact[side] = np.full(size, -1)
        on = (begin[:, axis] == at) & (after[:, axis] == at)
        contact[side][np.minimum(begin, after)[on, 1 - axis]] = part[on]
    return Rings(
        np.array(value), pixels, ring_of, np.stack([least // (2 * width + 1), least % (2 * width + 1)], 1),
        np.searchsorted(runs, step_of), line, backwards, corners, start, contact,
    )  # fmt: skip


def _steps(rings: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each step begins (x, y), where it goes, and ``(R + 1,)`` where the steps of each ring begin."""
    size = np.array([len(r) for r in rings])
    flat = np.array([p for ring in rings for p in ring], np.int64)
    ring_end = np.cumsum(size)
    stays = np.ones(len(flat), bool)
    stays[ring_end - 1] = False  # a ring's last point is its first
    begin = flat[stays]
    move = np.diff(flat, axis=0, append=flat[:1])[stays]
    length = np.abs(move).sum(1)
    toward = np.repeat(np.sign(move), length, axis=0)
    done = np.cumsum(length)
    inside = np.arange(done[-1]) - np.repeat(done - length, length)
    step_of = np.concatenate([[0], done[ring_end - np.arange(1, len(rings) + 1) - 1]])
    return np.repeat(begin, length, axis=0) + toward * inside[:, None], toward, step_of


def _cut(
    labels: np.ndarray, begin: np.ndarray, toward: np.ndarray, step_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of each ring turned so that it begins at a corner that stays, and where the runs between such corners begin."""
    height, width = labels.shape
    around = np.pad(labels.astype(np.int16), 1, constant_values=-1)
    x, y = begin.T
    a, b, c, d = around[y, x], around[y, x + 1], around[y + 1, x], around[y + 1, x + 1]
    meet = (a != b).view(np.int8) + (b != d) + (d != c) + (c != a) > 2
    meet |= ((x == 0) | (x == width)) & ((y == 0) | (y == height))
    # a ring without such a corner begins at its least, from whichever side it is met
    size = np.diff(step_of)
    rank = (y * (width + 1) + x) + np.where(meet, 0, (height + 1) * (width + 1))
    ring = np.repeat(np.arange(len(size)), size)
    head = np.flatnonzero(rank == np.minimum.reduceat(rank, step_of[:-1])[ring])
    head = head[np.concatenate([[True], ring[head][1:] != ring[head][:-1]])]  # a corner may be passed twice
    inside = np.arange(len(x)) - step_of[ring]
    order = step_of[ring] + (inside + (head - step_of[:-1])[ring]) % size[ring]
    meet = meet[order]
    meet[step_of[:-1]] = True
    return begin[order], toward[order], np.flatnonzero(meet)
