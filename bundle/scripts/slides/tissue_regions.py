"""Tissue that a person drew: regions of a GeoJSON file, such as QuPath's, as a mask."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.geometry import as_mpp
from ..core.paths import shown
from .slide_reading import Slide
from .tissue_mask import TissueMask, mask_grid

__all__ = ["fill_polygon", "geojson_polygons", "tissue_from_geojson"]

_REGION_MPP = 4.0  # µm/px
_MOST_BYTES = 2**30  # of a GeoJSON file, unpacked
_MOST_DEPTH = 32

Ring = np.ndarray


def tissue_from_geojson(path: str | Path, slide: Slide, mpp: float | Sequence[float]) -> TissueMask:
    """The tissue is what lies in any of a file's polygons; nothing else is looked at.

    Args:
        path: GeoJSON, ``.gz`` or not: features or geometries; those that are no polygons are passed over. Coordinates are
            (x, y) in px of level 0, counted as QuPath does, from the corner of the slide's bounds.
        slide: an open slide.
        mpp: µm/px of its label map.

    Raises:
        ValueError: no GeoJSON, or no polygon of it lies on the slide.
    """
    wanted = as_mpp(mpp, "mpp")
    scale = mask_grid(slide, _REGION_MPP)
    mask = np.zeros(slide.grid(scale), bool)
    count = 0
    for rings in geojson_polygons(path):
        count += 1
        fill_polygon(mask, [ring * np.array(slide.mpp) / scale for ring in rings])
    if not mask.any():
        found = f"{count} polygons, none of them on the slide" if count else "no polygon"
        raise ValueError(f"{shown(path)}: found {found}, expected regions of {shown(slide.path)} in px of its level 0")
    return TissueMask(mask, slide.grid(wanted), wanted, (scale / wanted[0], scale / wanted[1]))


def geojson_polygons(path: str | Path) -> Iterator[list[Ring]]:
    """Polygons of a file: each its rings, ``(n, 2)`` float of (y, x), the first its outline, the others its holes.

    Raises:
        ValueError: no GeoJSON.
    """
    where = shown(path)
    try:
        with gzip.open(path) if str(path).endswith(".gz") else open(path, "rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"has more than {_MOST_BYTES // 2**20} MB")
        content = json.loads(text)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{where}: no such file, expected GeoJSON") from error
    except (ValueError, EOFError, gzip.BadGzipFile, RecursionError) as error:
        raise ValueError(f"{where}: is no GeoJSON ({error})") from error
    for coordinates in _polygons(content):
        try:
            rings = [np.asarray(ring, float)[:, 1::-1] for ring in coordinates]
        except (ValueError, TypeError, IndexError):
            rings = []
        if not rings or any(len(ring) < 3 or not np.isfinite(ring).all() for ring in rings):
            raise ValueError(f"{where}: a polygon has no rings of three or more points (x, y)")
        yield rings


def _polygons(content: Any, depth: int = 0) -> Iterator[Any]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(content, list):
        for item in content:
            yield from _polygons(item, depth + 1)
    elif isinstance(content, dict):
        kind = content.get("type")
        if kind == "Polygon":
            yield content.get("coordinates") or []
        elif kind == "MultiPolygon":
            yield from content.get("coordinates") or []
        else:
            for key in ("features", "geometries", "geometry"):
                yield from _polygons(content.get(key), depth + 1)


def fill_polygon(mask: np.ndarray, rings: Sequence[Ring]) -> None:
    """Set the pixels of a mask whose middle lies in a polygon, by the even-odd rule.

    Args:
        mask: ``(H, W)`` bool, changed in place.
        rings: ``(n, 2)`` points (y, x) in its px, 0 being its upper and left edge; the last point is joined to the first.
    """
    points = np.concatenate(list(rings))
    low, high = np.clip(points.min(0), 0, mask.shape), np.clip(points.max(0), 0, mask.shape)
    top, left = (math.floor(v) for v in low)
    height, width = math.ceil(high[0]) - top, math.ceil(high[1]) - left
    if height < 1 or width < 1:
        return
    turns = np.zeros((height, width + 1), np.uint8)  # how many edges a row crosses left of a pixel's middle
    for ring in rings:
        begin = ring - (top, left)
        end = np.roll(begin, -1, axis=0)
        first, last = (
            np.clip(np.ceil(v - 0.5), 0, height).astype(np.int64)
            for v in (np.minimum(begin[:, 0], end[:, 0]), np.maximum(begin[:, 0], end[:, 0]))
        )
        counts = last - first
        edge = np.repeat(np.arange(len(ring)), counts)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        y0, x0 = begin[edge].T
        y1, x1 = end[edge].T
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(turns, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    inside = np.cumsum(turns, axis=1, dtype=np.uint8)[:, :-1] & 1
    mask[top : top + height, left : left + width] |= inside.astype(bool)
