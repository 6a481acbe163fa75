"""What the values of true masks mean: read as classes, counted, and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..core.facts import DatasetFacts
from ..core.masks import read_mask_values
from ..core.ranges import shown

__all__ = ["MaskShares", "read_classes", "refuse_unnamed"]

_HOW = "say in the dataset file what each value means: mask_values: {value: class, or null where not annotated}"


def read_classes(path: str | Path, facts: DatasetFacts, shares: MaskShares | None = None) -> np.ndarray:
    """Read a true mask as class indices, by ``facts.mask_values`` where there are some.

    Args:
        path: mask, see :func:`~scripts.core.masks.read_mask`.
        facts: facts of the raw data.
        shares: counts the values that the file holds.

    Returns:
        ``(H, W)`` uint8: class indices, and ``facts.white_value`` where not annotated.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, or a value that means nothing; the message names file, values and their share.
    """
    stored = read_mask_values(path)
    values, counts = _counts(stored)
    if shares is not None:
        shares.add(path, values, counts)
    meant = meanings(facts)
    if unknown := [int(v) for v in values if int(v) not in meant]:
        share = 100 * sum(int(n) for v, n in zip(values, counts, strict=True) if int(v) in unknown) / stored.size
        known = f"one of mask_values, {sorted(meant)}" if facts.mask_values else f"0 to {facts.white_value}"
        raise ValueError(
            f"{path}: found mask values {shown(unknown)} in {share:.1f} % of its pixels, expected {known}; {_HOW}"
        )
    if not facts.mask_values:
        return stored.astype(np.uint8)
    indices = np.array([meant[int(v)] for v in values], np.uint8)
    if values.max(initial=0) >= 2**16:
        return indices[np.searchsorted(values, stored)]
    table = np.zeros(int(values.max(initial=0)) + 1, np.uint8)
    table[values] = indices
    return table[stored]


def meanings(facts: DatasetFacts) -> dict[int, int]:
    """Class index of each value that a mask may hold, ``facts.white_value`` for what is not annotated."""
    if not facts.mask_values:
        return {value: value for value in range(facts.num_classes + 1)}
    index = {name: k for k, name in enumerate(facts.classes)}
    return {value: facts.white_value if name is None else index[name] for value, name in facts.mask_values.items()}


class MaskShares:
    """Counts of the values of true masks, as the files hold them."""

    def __init__(self) -> None:
        self.pixels: Counter[int] = Counter()
        self.masks: Counter[int] = Counter()
        self.first: dict[int, str] = {}
        self.count = 0

    def add(self, path: str | Path, values: Iterable[int], counts: Iterable[int]) -> None:
        """Count one mask.

        Args:
            path: the mask.
            values: its values.
            counts: pixels of each.
        """
        self.count += 1
        for value, pixels in zip(map(int, values), map(int, counts), strict=True):
            self.pixels[value] += pixels
            self.masks[value] += 1
            self.first.setdefault(value, str(path))

    def add_mask(self, path: str | Path, mask: np.ndarray) -> None:
        """Count one mask ``(H, W)``."""
        self.add(path, *_counts(mask))

    def table(self, facts: DatasetFacts) -> str:
        """Values, classes, their share of all pixels, and in how many of the masks they are, as text."""
        meant, total = meanings(facts), max(1, sum(self.pixels.values()))
        names = [*facts.classes, "white background or not annotated"]
        rows = [("value", "class", "pixels", "masks")]
        for value in sorted({*self.pixels, *meant}):
            name = names[meant[value]] if value in meant else "unknown"
            if value in self.pixels or meant[value] < facts.num_classes:
                rows.append((str(value), name, f"{100 * self.pixels[value] / total:.2f} %", str(self.masks[value])))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [f"{v:>{widths[0]}}  {c:<{widths[1]}}  {p:>{widths[2]}}  {m:>{widths[3]}}" for v, c, p, m in rows]
        return "\n".join([f"values of {self.count} true masks:", *lines])

    def suspicions(self, facts: DatasetFacts) -> list[tuple[str, str]]:
        """What suggests that values mean something else than the facts say: what was found, and what was expected."""
        found, values = [], set(self.pixels)
        if not values:
            return found
        if values == {0, 255} and not facts.mask_values:
            found.append(("the values 0 and 255 alone, as in black-and-white pictures", f"class indices; or {_HOW}"))
        elif not facts.mask_values and 0 not in values and max(values) == facts.num_classes:
            found.append(
                (
                    f"no value 0 in any mask, and {facts.num_classes} as the highest, the number of classes",
                    f"class indices from 0; if these count from 1, {_HOW}",
                )
            )
        present = {index for value, index in meanings(facts).items() if self.pixels[value]}
        if missing := [name for k, name in enumerate(facts.classes) if k not in present]:
            found.append((f"no pixel of {', '.join(map(repr, missing))} in {self.count} true masks", "each class in some"))
        return found


def refuse_unnamed(shares: MaskShares, facts: DatasetFacts) -> None:
    """Refuse values that ``facts.mask_values`` says nothing of, whichever masks they are in.

    Raises:
        ValueError: the message names value, share, number of masks and the first of them.
    """
    unnamed = sorted(set(shares.pixels) - set(meanings(facts)))
    if facts.mask_values and unnamed:
        total = sum(shares.pixels.values())
        lines = [
            f"{v} ({100 * shares.pixels[v] / total:.2f} % of the pixels, {shares.masks[v]} masks, as {shares.first[v]})"
            for v in unnamed[:8]
        ]
        raise ValueError(
            f"mask_values: found masks of other values: {'; '.join(lines)}; expected {sorted(meanings(facts))}; name a "
            "class for each, or null where not annotated"
        )


def _counts(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of a mask and their pixels."""
    if mask.dtype in (np.uint8, np.uint16, np.bool_):  # counting is faster than sorting
        counts = np.bincount(mask.ravel())
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(mask, return_counts=True)
