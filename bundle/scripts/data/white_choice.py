"""What white is in a dataset whose file does not say it: measured, chosen, told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..core.facts import DatasetFacts
from ..core.white import white_background

__all__ = ["SAMPLE", "WhiteShares", "sample"]

logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")
#: So many images are measured at most.
SAMPLE = 200
# share of white from which it matters what it is
_WORTH_A_WARNING = 0.005


def sample(items: Sequence[_Item], seed: int) -> list[_Item]:
    """At most :data:`SAMPLE` of the items, drawn by seed, in their order."""
    if len(items) <= SAMPLE:
        return list(items)
    return [items[k] for k in sorted(np.random.default_rng(seed).choice(len(items), SAMPLE, replace=False))]


@dataclass
class WhiteShares:
    """Counts of white pixels (see :func:`~scripts.core.white.white_background`), and of those that true masks call tissue.

    Args:
        images: number of images.
        pixels: their pixels.
        white: those of them that are white.
        annotated: white pixels that a true mask covers.
        tissue: white pixels that it says are a tissue.
    """

    images: int = 0
    pixels: int = 0
    white: int = 0
    annotated: int = 0
    tissue: int = 0

    def add(self, image: np.ndarray, mask: np.ndarray | None, facts: DatasetFacts) -> None:
        """Count one image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            mask: ``(H, W)`` class indices, if it has a true mask.
            facts: facts of the dataset.
        """
        white = white_background(image)
        self.images += 1
        self.pixels += white.size
        self.white += int(white.sum())
        if mask is not None and mask.shape == white.shape:
            self.annotated += int(white.sum())
            self.tissue += int((mask[white] < facts.num_classes).sum())

    @property
    def share(self) -> float:
        """Share of the pixels that are white, in [0, 1]."""
        return self.white / max(1, self.pixels)

    @property
    def background(self) -> bool:
        """The safer choice: white is a background of its own, unless true masks call most of it tissue."""
        return 2 * self.tissue <= self.annotated

    def measured(self) -> str:
        """The share of white, and what true masks say of it, as text."""
        text = f"{100 * self.share:.1f} % of the pixels of {self.images} images are white"
        if self.annotated:
            text += f"; true masks call {100 * self.tissue / self.annotated:.0f} % of the white tissue"
        return text

    def choose(self) -> bool:
        """The choice for a dataset that does not say it, told in one line."""
        if self.background:
            taken = "white is taken for a background of its own and painted by brightness (white_background: true)"
            other = "if it belongs to a tissue (fat, a gland's lumen), set white_background: false"
        else:
            taken = "white is taken for a part of the tissues (white_background: false)"
            other = "if it is glass, set white_background: true"
        how = "in the dataset file, or by --dataset#white_background"
        level = logging.WARNING if self.share >= _WORTH_A_WARNING else logging.INFO
        logger.log(level, "the dataset does not say what white is: %s; %s; %s %s", self.measured(), taken, other, how)
        return self.background

    def line(self, facts: DatasetFacts) -> str:
        """What is measured and what the dataset says, as text."""
        says = "a background of its own" if facts.white_background else "part of the tissues"
        return f"{self.measured()}; white is {says} (white_background: {str(facts.white_background).lower()})"
