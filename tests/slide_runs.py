"""Runs of small slides with a small model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scripts.core.facts import DatasetFacts
from scripts.slides import SlideSegmenter, run_cohort
from tiny import write_models

pytest.importorskip("openslide")
pytest.importorskip("rasterio")
pytest.importorskip("shapely")

#: Outputs of a slide ``a``.
ALL = ["a.geojson", "a.json", "a.ome.tif", "a_overlay.jpg"]
STRIPS = {"tile": None, "rowsperstrip": 64}
BACKENDS = pytest.mark.parametrize("options", [{}, STRIPS], ids=["openslide", "tifffile"])


def small_models(folder: Path, mpp: float | None = 1.0) -> Path:
    """Weights of two classes, for windows of 64 px."""
    return write_models(folder, DatasetFacts(classes=("a", "b"), mpp=mpp), patch_size=(64, 64))


class Cohort:
    """Segments what is in a folder, as the command does."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder, self.models = folder, models

    def __call__(self, source, out="out", dry_run=False, make=SlideSegmenter, models=None, **settings):
        make = partial(make, str(models or self.models), "cpu", {"gated": False}, threads=1, **settings)
        return run_cohort(source, None, self.folder / out, make_segment=make, progress=False, dry_run=dry_run)


def written(folder: Path) -> list[str]:
    """Names of what a user sees in a folder of results."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith((".", "cohort")))


def label_map(folder: Path, name: str = "a") -> np.ndarray:
    """The label map that a run wrote."""
    return tifffile.imread(folder / f"{name}.ome.tif", series=0, level=0)
