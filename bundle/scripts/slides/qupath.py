"""GeoJSON as QuPath writes and reads it: the regions that people draw."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.paths import shown
from .extras import extra

__all__ = ["Region", "read_qupath"]

_LARGEST = 2**29  # bytes of a file, unpacked: as objects of Python it is about ten times that
_SHOWN = 3  # faults told of a file


@dataclass
class Region:
    """What a person has drawn.

    Args:
        name: its class; empty: none was given. Of a class derived from others, ``"Tumor: Positive"``.
        shape: geometry of shapely in level-0 px (x, y); polygons are valid.
        properties: what the file says beside it, such as ``objectType``, ``name`` and ``measurements``.
    """

    name: str
    shape: Any
    properties: dict[str, Any] = field(default_factory=dict)


def read_qupath(path: str | Path, largest: int = _LARGEST) -> list[Region]:
    """Regions of a GeoJSON file of QuPath or of :func:`write_qupath`, in their order.

    Polygons that cross themselves, as drawn by hand, are repaired.

    Args:
        path: file, packed or not.
        largest: bytes, unpacked, that are read at most.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or too large; the message tells what is wrong with which features.
    """
    extra("shapely")
    where = shown(path)
    try:
        content = json.loads(_text(Path(path), where, largest))
    except RecursionError as error:
        raise ValueError(f"{where}: lists within each other, deeper than any GeoJSON's") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not readable as UTF-8 ({error.reason}); expected GeoJSON of QuPath") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not readable as JSON ({error}); expected GeoJSON of QuPath") from error
    features = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(features, list):
        raise ValueError(f"{where}: found no list of features, expected a FeatureCollection")
    regions, faults = [], []
    for number, feature in enumerate(features, 1):
        try:
            regions.append(_region(feature))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            faults.append(f"feature {number}: {error}")
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(f"{where}: {'; '.join(faults[:_SHOWN])}{more}; export the annotations of QuPath again")
    return regions


def _text(path: Path, where: str, largest: int) -> str:
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=raw) if packed else raw).read(largest + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{where}: a damaged gzip file ({error})") from error
    if len(content) > largest:
        raise ValueError(f"{where}: more than {largest / 2**20:.0f} MB unpacked; export fewer objects, and no cells")
    return content.decode("utf-8-sig")


def _region(feature: Any) -> Region:
    import shapely

    if not isinstance(feature, dict) or feature.get("type") != "Feature" or not isinstance(feature.get("geometry"), dict):
        raise ValueError("expected a Feature with a geometry")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise ValueError("expected properties by their names")
    try:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
    except shapely.errors.GEOSException as error:
        raise ValueError(f"no geometry ({str(error).splitlines()[0]})") from error
    if shape.is_empty or not np.isfinite(shapely.get_coordinates(shape)).all():
        raise ValueError("an empty geometry, or one with coordinates that are no numbers")
    if not shape.is_valid:
        flat = shape.geom_type.removeprefix("Multi") == "Polygon"
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False) if flat else shape
        if shape.is_empty:
            raise ValueError("a polygon without an area")
    return Region(_class_name(properties.get("classification")), shape, properties)


def _class_name(found: Any) -> str:
    """Of a classification as versions of QuPath write it: a name, or the names of a derived class."""
    if found is None or isinstance(found, str):
        return (found or "").strip()
    name = found.get("name")
    names = [name] if name is not None else found.get("names") or []
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"a classification of {str(found)[:80]}, expected a name")
    return ": ".join(n.strip() for n in names)
