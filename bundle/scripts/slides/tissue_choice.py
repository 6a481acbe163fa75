"""Whose word on tissue counts: what is found, the whole slide, or regions that a person has drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.paths import shown
from .slide_reading import Slide
from .tissue_mask import TissueMask, all_tissue, find_tissue
from .tissue_regions import tissue_from_geojson

__all__ = ["check_tissue", "choose_tissue", "region_files"]

_EXPECTED = "expected auto, none, a GeoJSON, or a folder of one for each slide"


def check_tissue(tissue: str) -> None:
    """See that it is a word that :func:`choose_tissue` knows, or a file or folder that is there.

    Raises:
        FileNotFoundError: it is not.
    """
    if tissue not in ("auto", "none") and not Path(tissue).exists():
        raise FileNotFoundError(f"tissue: found {shown(tissue)}, which is no file; {_EXPECTED}")


def region_files(tissue: str) -> list[str]:
    """Files that :func:`choose_tissue` reads, on whose content a slide's results depend.

    Raises:
        FileNotFoundError: no such file or folder.
    """
    check_tissue(tissue)
    if tissue in ("auto", "none"):
        return []
    path = Path(tissue)
    return [str(p) for p in sorted(path.glob("*.geojson"))] if path.is_dir() else [tissue]


def choose_tissue(slide: Slide, mpp: float | Sequence[float], tissue: str = "auto") -> TissueMask:
    """The tissue mask of a slide.

    Args:
        slide: the slide.
        mpp: µm/px of its label map.
        tissue: ``"auto"``: found by colour; ``"none"``: the whole slide; else a GeoJSON of regions in px of level 0, or a
            folder with a ``<slide>.geojson`` for each slide.

    Raises:
        FileNotFoundError: no such file, or none for this slide in the folder.
        ValueError: a file that is no GeoJSON of regions.
    """
    if tissue == "auto":
        return find_tissue(slide, mpp)
    if tissue == "none":
        return all_tissue(slide, mpp)
    path = Path(tissue)
    if path.is_dir():
        path = path / f"{slide.path.stem}.geojson"
    if not path.is_file():
        raise FileNotFoundError(f"{shown(slide.path)}: found no regions {shown(path)}; {_EXPECTED}")
    return tissue_from_geojson(path, slide, mpp)
