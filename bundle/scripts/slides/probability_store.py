"""Probabilities of a slide's classes on disk, band by band: a Zarr of uint8."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch

from ..core.extras import extra
from ..core.facts import DatasetFacts
from ..inference.certainty import certainty, grey

__all__ = ["ProbabilityStore", "unfinished"]

_CHUNK = (256, 512)


def unfinished(path: str | Path) -> Path:
    """What a store is called while it is written."""
    path = Path(path)
    return path.with_name(f".{path.name}.part")


class ProbabilityStore:
    """A Zarr group of two arrays: ``probabilities`` ``(C, H, W)`` and ``certainty`` ``(H, W)``, 255 for 1.

    Certainty is that of :func:`~scripts.inference.certainty.certainty`. What was not written is 0. Until
    :meth:`finish` the folder has the name of :func:`unfinished`, and one that a killed process left is gone on with.

    Args:
        path: target, ``.zarr``.
        size: (H, W) of the label map.
        facts: classes.
        mpp: pixel size (y, x) in µm/px.
        temperature: of the probabilities, for the certainty.

    Raises:
        ValueError: the package is missing, or what was left is of another size.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        facts: DatasetFacts,
        mpp: tuple[float, float],
        temperature: float = 1.0,
    ) -> None:
        zarr = extra("zarr")
        self.path, self.part = Path(path), unfinished(path)
        self.temperature = temperature
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
        part = unfinished(path)
        if done == 0 and part.exists():
            shutil.rmtree(part)
        return done == height and Path(path).exists() and not part.exists()

    def write(self, top: int, probabilities: np.ndarray) -> None:
        """Write rows from ``top`` on: ``(C, height, W)`` float in [0, 1]. Rows may be written again."""
        rows = slice(top, top + probabilities.shape[1])
        self.group["probabilities"][:, rows] = grey(probabilities)
        margin = certainty(torch.from_numpy(np.ascontiguousarray(probabilities, np.float32)), self.temperature)
        self.group["certainty"][rows] = grey(margin.numpy())

    def finish(self) -> None:
        """Give the folder its name, in place of one that was there."""
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self.part, self.path)
