"""One pseudo mask from several: patches that overlap in their region see the same tissue, and so do the depths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..core.image_writers import write_mask
from ..core.images import image_size, read_mask
from ..core.progress import track

__all__ = ["CONSENSUS", "cache_size", "check_votes", "is_placed", "overlapping", "vote", "write_consensus"]

#: Name of the layer that holds the consensus.
CONSENSUS = "consensus"


def vote(
    masks: Sequence[tuple[np.ndarray, tuple[int, int]]], weights: Sequence[float], present: Sequence[int], white_value: int
) -> np.ndarray:
    """Consensus of a patch's pseudo masks with those of the patches that overlap it.

    Every mask votes for its classes with the weight of its depth, most in the middle of its patch, where the class
    activation maps see tissue on all sides, and least at the border (a Gaussian whose standard deviation is a quarter of the
    patch's side). Classes that the patch's own label does not name cannot win.

    Args:
        masks: label maps ``(L, H, W)`` of each patch with its offset (y, x) in px from the first one, which is the patch
            itself; all of one size.
        weights: weight of each of the L depths.
        present: image-level label of the patch, one value per class.
        white_value: value of white background; it stays where the patch's deepest mask has it.

    Returns:
        ``(H, W)`` uint8.
    """
    own = masks[0][0]
    height, width = own.shape[1:]
    window = np.outer(_bell(height), _bell(width))
    votes = np.zeros((len(present), height, width), np.float32)
    for mask, (dy, dx) in masks:
        here = np.s_[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
        there = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        for k in np.flatnonzero(present):
            for weight, layer in zip(weights, mask, strict=True):
                votes[k][here] += weight * window[there] * (layer[there] == k)
    votes[~np.asarray(present, bool)] = -1
    return np.where(own[-1] == white_value, white_value, votes.argmax(axis=0)).astype(np.uint8)


def overlapping(
    entries: Sequence[Mapping[str, Any]], size: Sequence[int], reach: Sequence[int] = (0, 0)
) -> Iterator[tuple[Mapping[str, Any], list[tuple[Mapping[str, Any], tuple[int, int]]]]]:
    """Each entry with itself and all that overlap it, or come nearer than ``reach``, and their offsets (y, x) in px.

    Args:
        entries: datalist entries. Those with a ``position`` (y, x), in px of their ``region`` (the ``group`` where
            that is not said), can overlap.
        size: (height, width) of the patches in px.
        reach: (y, x) in px, each no more than the patch's side.
    """
    near = range(-2, 3) if any(reach) else range(-1, 2)
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in filter(is_placed, entries):
        cells.setdefault(_cell(entry, size), []).append(entry)
    for entry in entries:
        found = [(entry, (0, 0))]
        if is_placed(entry):
            region, row, column = _cell(entry, size)
            around = [(region, row + i, column + j) for i in near for j in near]
            for other in (e for cell in around for e in cells.get(cell, ()) if e is not entry):
                offset = tuple(b - a for a, b in zip(entry["position"], other["position"], strict=True))
                if all(abs(o) < s + r for o, s, r in zip(offset, size, reach, strict=True)):
                    found.append((other, offset))
        yield entry, found


def check_votes(layers: Sequence[str], weights: Sequence[float]) -> None:
    """Refuse weights that do not fit the layers.

    Raises:
        ValueError: not a non-negative number for each layer, or all are zero.
    """
    if len(weights) != len(layers) or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"consensus: expected a non-negative weight for each of {list(layers)}, found {list(weights)}")


def write_consensus(
    entries: Sequence[Mapping[str, Any]],
    folder: str | Path,
    layers: Sequence[str],
    weights: Sequence[float],
    facts: DatasetFacts,
    progress: bool = True,
) -> None:
    """Write the :func:`vote` of every patch to ``<folder>/consensus/<name>.png``; those that are there are left.

    Args:
        entries: datalist entries with ``label`` and ``name``, and with ``group`` and ``position`` where known.
        folder: folder of the pseudo masks of all layers.
        layers: its layers, shallow to deep.
        weights: weight of each.
        facts: facts of the dataset.
        progress: whether to show a progress bar.

    Raises:
        ValueError: weights that do not fit the layers.
    """
    check_votes(layers, weights)
    folder = Path(folder)
    heard = [(layer, weight) for layer, weight in zip(layers, weights, strict=True) if weight]
    layers, weights = [layer for layer, _ in heard], [weight for _, weight in heard]

    sizes: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for entry in entries:
        sizes.setdefault(image_size(folder / layers[0] / f"{entry['name']}.png"), []).append(entry)

    @lru_cache(maxsize=cache_size(max((h * w for h, w in sizes), default=1) * len(layers), 512))
    def read(name: str) -> np.ndarray:
        return np.stack([read_mask(folder / layer / f"{name}.png") for layer in layers])

    for size, alike in sizes.items():
        neighbours = overlapping(alike, size)
        for entry, others in track(neighbours, "consensus", len(alike), progress):
            path = folder / CONSENSUS / f"{entry['name']}.png"
            if not path.is_file():
                masks = [(read(other["name"]), offset) for other, offset in others]
                write_mask(path, vote(masks, weights, entry["label"], facts.white_value), facts)


def cache_size(each: int, at_most: int) -> int:
    """How many arrays of so many bytes to keep in memory: 128 MB of them, but enough for all neighbours of a patch."""
    return max(32, min(at_most, 2**27 // each))


def is_placed(entry: Mapping[str, Any]) -> bool:
    """Whether it is known where in which region a datalist entry lies."""
    return entry.get("group") is not None and entry.get("position") is not None


def _cell(entry: Mapping[str, Any], size: Sequence[int]) -> tuple[Any, int, int]:
    region = entry["group"], entry.get("region")
    return region, entry["position"][0] // size[0], entry["position"][1] // size[1]


def _bell(side: int) -> np.ndarray:
    return np.exp(-2 * np.linspace(-1, 1, side, dtype=np.float32) ** 2) + np.float32(1e-3)
