"""Probabilities of a slide's classes on disk, band by band: a Zarr of uint8."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from ..core.facts import DatasetFacts
from .extras import extra

__all__ = ["ProbabilityStore"]

_CHUNK = (256, 512)


class ProbabilityStore:
    """A Zarr group of two arrays: ``probabilities`` ``(C, H, W)`` and ``certainty`` ``(H, W)``, 255 for 1.

    Certainty is how far the highest probability is above the second. What was not written is 0. The folder is called
    ``<path>.part`` until :meth:`finish`, and one that a killed process left is gone on with.

    Args:
        path: target, ``.zarr``.
        size: (H, W) of the label map.
        facts: classes.
        mpp: pixel size (y, x) in µm/px.

    Raises:
        ValueError: the package is missing, or what was left is of another size.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], facts: DatasetFacts, mpp: tuple[float, float]) -> None:
        zarr = extra("zarr")
        self.path, self.part = Path(path), Path(f"{path}.part")
        self.group = zarr.open_group(str(self.part), mode="a")
        self.group.attrs.update({"classes": list(facts.classes), "mpp": list(mpp), "axes": ["class", "y", "x"]})
        shapes = {"probabilities": (facts.num_classes, *size), "certainty": tuple(size)}
        for name, shape in shapes.items():
            chunks = tuple(min(c, s) for c, s in zip((1, *_CHUNK)[-len(shape) :], shape, strict=True))
            if name not in self.group:
                self.group.create_array(name, shape=shape, chunks=chunks, dtype="uint8", fill_value=0)
            elif self.group[name].shape != shape:
                found = self.group[name].shape
                raise ValueError(f"{self.part}: {name} of size {found}, expected {shape}; remove the folder")

    @classmethod
    def is_whole(cls, path: str | Path, done: int, height: int) -> bool:
        """Whether a killed process has finished its folder, by the rows of labels done of a map of so many.

        What another run left is removed where no row is done.
        """
        part = Path(f"{path}.part")
        if done == 0 and part.exists():
            shutil.rmtree(part)
        return done == height and Path(path).exists() and not part.exists()

    def write(self, top: int, probabilities: np.ndarray) -> None:
        """Write rows from ``top`` on: ``(C, height, W)`` float in [0, 1]. Rows may be written again."""
        rows = slice(top, top + probabilities.shape[1])
        self.group["probabilities"][:, rows] = _bytes(probabilities)
        ranked = np.partition(probabilities, -2, axis=0) if len(probabilities) > 1 else probabilities
        margin = ranked[-1] - ranked[-2] if len(probabilities) > 1 else ranked[0]
        self.group["certainty"][rows] = _bytes(margin)

    def finish(self) -> None:
        """Give the folder its name, in place of one that was there."""
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self.part, self.path)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
