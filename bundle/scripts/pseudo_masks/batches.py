"""How patches go through a masker: in fixed batches, decoded ahead; and which of them shares are measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..core.images import image_size

__all__ = ["alike_batches", "decoded", "several_classes"]

# patches of each class that shares are measured on
_CALIBRATION = 256


def alike_batches(entries: Sequence[Mapping[str, Any]], size: int) -> list[list[Mapping[str, Any]]]:
    """Fixed batches of equally large patches with equally many present classes."""
    groups: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        groups.setdefault((*image_size(entry["image"]), sum(entry["label"])), []).append(entry)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


def decoded(
    batches: Sequence[Sequence[Mapping[str, Any]]],
    pool: ThreadPoolExecutor,
    read: Callable[[Mapping[str, Any]], np.ndarray],
) -> Iterator[tuple[Sequence[Mapping[str, Any]], list[np.ndarray]]]:
    """Batches of entries with their patches, the next one decoded while one is in use."""
    ahead: list[list[Future]] = []
    for index in range(len(batches)):
        for batch in batches[index + len(ahead) : index + 2]:
            ahead.append([pool.submit(read, entry) for entry in batch])
        yield batches[index], [future.result() for future in ahead.pop(0)]


def several_classes(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Patches of several classes, up to so many of each class, evenly over the entries: a rare class has all of its own."""
    labels = np.array([entry["label"] for entry in entries], bool)
    chosen: set[int] = set()
    for own in labels.T:
        several = np.flatnonzero(own & (labels.sum(axis=1) > 1))
        if len(several):
            chosen.update(several[np.linspace(0, len(several) - 1, _CALIBRATION).round().astype(int)].tolist())
    return [entries[i] for i in sorted(chosen)]
