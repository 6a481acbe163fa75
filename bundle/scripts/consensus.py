"""One pseudo mask from several, and how sure it is: patches that overlap see the same tissue, and so do all layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .facts import DatasetFacts
from .images import read_mask, write_mask

__all__ = ["CERTAIN", "CONSENSUS", "Consensus", "overlapping", "vote", "write_consensus"]

#: Name of the layer that holds the consensus,
CONSENSUS = "consensus"
#: and of the one that holds only what of it is certain.
CERTAIN = "certain"


@dataclass(frozen=True)
class Consensus:
    """How pseudo masks vote.

    Args:
        weights: weight of each layer's votes.
        majority: share of the votes in [0, 1] from which on a pixel's class is certain; ``None``: no layer of what is.

    Raises:
        ValueError: a negative weight, or no positive one; a share out of range.
    """

    weights: Sequence[float]
    majority: float | None = None

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError(f"consensus: expected non-negative weights with a positive sum, found {list(self.weights)}")
        if self.majority is not None and not 0 <= self.majority <= 1:
            raise ValueError(f"consensus: expected a majority in [0, 1], found {self.majority}")

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that hold its result."""
        return (CONSENSUS,) if self.majority is None else (CERTAIN, CONSENSUS)

    def check(self, layers: Sequence[str]) -> None:
        """Refuse layers that the weights do not fit.

        Raises:
            ValueError: not as many layers as weights.
        """
        if len(self.weights) != len(layers):
            raise ValueError(
                f"consensus: expected a non-negative weight for each of {list(layers)}, found {list(self.weights)}"
            )


def vote(
    masks: Sequence[tuple[np.ndarray, tuple[int, int]]], weights: Sequence[float], present: Sequence[int], white_value: int
) -> tuple[np.ndarray, np.ndarray]:
    """Consensus of a patch's pseudo masks with those of the patches that overlap it.

    Every mask votes for its classes with the weight of its layer, most in the middle of its patch, where the class
    activation maps see tissue on all sides, and least at the border (a Gaussian whose standard deviation is a quarter of the
    patch's side). Classes that the patch's own label does not name cannot win.

    Args:
        masks: label maps ``(L, H, W)`` of each patch with its offset (y, x) in px from the first one, which is the patch
            itself; all of one size.
        weights: weight of each of the L layers.
        present: image-level label of the patch, one value per class.
        white_value: value of white background; it stays where the patch's last mask has it.

    Returns:
        ``(H, W)`` uint8, and the share of the votes for the patch's own classes that the winner has, ``(H, W)`` float32 in
        [0, 1]; 0 without a vote.
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
    own_classes = np.flatnonzero(present)
    winner = own_classes[votes[own_classes].argmax(axis=0)]
    most, total = votes[own_classes].max(axis=0), votes[own_classes].sum(axis=0)
    share = np.divide(most, total, out=np.zeros_like(total), where=total > 0)
    return np.where(own[-1] == white_value, white_value, winner).astype(np.uint8), share


def overlapping(
    entries: Sequence[Mapping[str, Any]], size: Sequence[int]
) -> Iterator[tuple[Mapping[str, Any], list[tuple[Mapping[str, Any], tuple[int, int]]]]]:
    """Each entry with itself and all that overlap it, and their offsets (y, x) in px.

    Args:
        entries: datalist entries. Those with a ``position`` (y, x), in px of the region that ``group`` names, can overlap.
        size: (height, width) of the patches in px.
    """
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in filter(_placed, entries):
        cells.setdefault(_cell(entry, size), []).append(entry)
    for entry in entries:
        found = [(entry, (0, 0))]
        if _placed(entry):
            group, row, column = _cell(entry, size)
            around = [(group, row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            for other in (e for cell in around for e in cells.get(cell, ()) if e is not entry):
                offset = tuple(b - a for a, b in zip(entry["position"], other["position"], strict=True))
                if all(abs(o) < s for o, s in zip(offset, size, strict=True)):
                    found.append((other, offset))
        yield entry, found


def write_consensus(
    entries: Sequence[Mapping[str, Any]],
    folder: str | Path,
    layers: Sequence[str],
    consensus: Consensus,
    facts: DatasetFacts,
    progress: bool = True,
) -> None:
    """Write the :func:`vote` of every patch to ``<folder>/consensus/<name>.png``; those that are there are left.

    With a majority, ``<folder>/certain/<name>.png`` has the same, but white background where the winner does not reach it:
    what learns from it does without these pixels.

    Args:
        entries: datalist entries with ``label`` and ``name``, and with ``group`` and ``position`` where known.
        folder: folder of the pseudo masks of all layers.
        layers: its layers, shallow to deep.
        consensus: how they vote.
        facts: facts of the dataset.
        progress: whether to show a progress bar.

    Raises:
        ValueError: weights that do not fit the layers.
    """
    consensus.check(layers)
    folder = Path(folder)

    @lru_cache(maxsize=512)
    def read(name: str) -> np.ndarray:
        return np.stack([read_mask(folder / layer / f"{name}.png") for layer in layers])

    sizes: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        sizes.setdefault(read(entry["name"]).shape[1:], []).append(entry)
    for size, alike in sizes.items():
        neighbours = overlapping(alike, size)
        for entry, others in tqdm(neighbours, desc="consensus", total=len(alike), disable=not progress, leave=False):
            paths = [folder / layer / f"{entry['name']}.png" for layer in consensus.layers]
            if not all(path.is_file() for path in paths):
                masks = [(read(other["name"]), offset) for other, offset in others]
                mask, share = vote(masks, consensus.weights, entry["label"], facts.white_value)
                write_mask(paths[-1], mask, facts)
                if consensus.majority is not None:
                    write_mask(paths[0], np.where(share < consensus.majority, facts.white_value, mask).astype(np.uint8), facts)


def _placed(entry: Mapping[str, Any]) -> bool:
    return entry.get("group") is not None and entry.get("position") is not None


def _cell(entry: Mapping[str, Any], size: Sequence[int]) -> tuple[Any, int, int]:
    return entry["group"], entry["position"][0] // size[0], entry["position"][1] // size[1]


def _bell(side: int) -> np.ndarray:
    return np.exp(-2 * np.linspace(-1, 1, side, dtype=np.float32) ** 2) + np.float32(1e-3)
