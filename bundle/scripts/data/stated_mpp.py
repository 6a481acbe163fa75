"""What the files of a dataset's images state of µm/px, against what the dataset says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.facts import DatasetFacts
from ..core.geometry import read_geometry
from .white_choice import sample

__all__ = ["with_stated_mpp"]

logger = logging.getLogger(__name__)
# share by which sizes may differ and still count as one: 0.25 µm/px are 0.2528 on another slide
_TOLERANCE = 0.02


def with_stated_mpp(facts: DatasetFacts, images: Sequence[Path], seed: int) -> DatasetFacts:
    """Facts with the µm/px that the images' files state, where these agree and the facts have none.

    Where the facts have another, or the files differ, a warning says so: a network sees other sizes than it is said to.

    Args:
        facts: facts of the raw data.
        images: its images, of which some are looked at.
        seed: seed of the choice.
    """
    looked_at = [(path, read_geometry(path).mpp) for path in sample(list(images), seed)]
    stated = {path: mpp for path, mpp in looked_at if mpp is not None}
    if not stated:
        return facts
    low, high = min(map(min, stated.values())), max(map(max, stated.values()))
    sizes = f"{low:.4g}" if high == low else f"{low:.4g} to {high:.4g}"
    agree = high <= low * (1 + _TOLERANCE)
    if facts.mpp is None and agree and len(stated) == len(looked_at):
        logger.info("µm/px: %s, as the files of the images state; mpp in the dataset file would count instead", sizes)
        return replace(facts, mpp=float(f"{low:.4g}"))
    if facts.mpp is None:
        logger.warning(
            "the dataset does not say its µm/px, and the files of %d of %d images state %s: set mpp in the dataset file, "
            "after resampling the images to it where they differ", len(stated), len(looked_at), sizes,
        )  # fmt: skip
        return facts
    others = [p for p, mpp in stated.items() if any(abs(v / facts.mpp - 1) > _TOLERANCE for v in mpp)]
    if others:
        logger.warning(
            "the dataset says %s µm/px, but the files of %d of %d images state another, %s, as %s: set mpp to the size of a "
            "pixel of these images, or resample them to it", facts.mpp, len(others), len(looked_at), sizes, others[0],
        )  # fmt: skip
    return facts
