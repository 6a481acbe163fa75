"""GeoJSON as QuPath writes and reads it: the polygons of a label map, and the regions that people draw."""

from __future__ import annotations

import gzip
import io
import json
import math
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import atomic_path
from ..core.extras import extra
from ..core.facts import DatasetFacts
from ..core.paths import shown
from .label_rows import LabelRows
from .polygons import polygons

__all__ = ["Region", "read_qupath", "write_qupath"]

_IDS = uuid.UUID("5f0c6b3e-2a53-5c0e-9a34-6f2f1d6f7b1d")
_LARGEST = 2**29  # bytes of a file, unpacked: as objects of Python it is about ten times that
_SHOWN = 3  # faults told of a file


def write_qupath(
    path: str | Path,
    rows: LabelRows,
    facts: DatasetFacts,
    mpp: tuple[float, float],
    scale: tuple[float, float],
    offset: tuple[float, float] = (0.0, 0.0),
    simplify: float = 1.0,
    name: str = "",
    locked: bool = True,
) -> dict[str, int]:
    """Write the polygons of a label map atomically, one annotation per component, one per line.

    Background and what was not segmented are not exported. The area among the measurements is that of the component's
    pixels, so that those of a class add up to its area.

    Args:
        path: target; ``.gz`` at the end: packed.
        rows: the label map.
        facts: classes and palette.
        mpp: pixel size (y, x) of the label map in µm/px.
        scale: level-0 px per pixel of the label map (y, x).
        offset: level-0 px of its corner (y, x), as QuPath counts them: from the corner of the slide's bounds.
        simplify: how far a border may move, in px of the label map; 0: pixel for pixel.
        name: name of the slide, of which ids are made: the same map has the same ids.
        locked: whether QuPath protects the annotations from being moved by mistake.

    Returns:
        ``{"polygons": n, "corners": n}``.

    Raises:
        OSError: it cannot be written.
        ValueError: a package of the extra ``slides`` is missing.
    """
    extra("rasterio.features")
    shapely = extra("shapely")
    counted = {"polygons": 0, "corners": 0}
    with atomic_path(path) as temporary, _packed(temporary, str(path).endswith(".gz")) as file:
        file.write('{"type":"FeatureCollection","features":[')
        for component in polygons(rows, facts.num_classes, simplify):
            shape = _placed(component.shape, scale, offset)
            class_ = facts.classes[component.value]
            properties = {
                "objectType": "annotation",
                "classification": {"name": class_, "color": list(facts.palette[component.value])},
                "isLocked": locked,
                "measurements": {"Area µm^2": round(component.pixels * math.prod(mpp), 3)},
            }
            id_ = uuid.uuid5(_IDS, f"{name}\n{class_}\n{component.first[0]},{component.first[1]}")
            file.write(
                ("," if counted["polygons"] else "") + f'\n{{"type":"Feature","id":"{id_}",'
                f'"geometry":{shapely.to_geojson(shape)},'
                f'"properties":{json.dumps(properties, ensure_ascii=False, separators=(",", ":"))}}}'
            )
            counted["polygons"] += 1
            counted["corners"] += int(shapely.get_num_coordinates(shape))
        file.write("\n]}\n")
    return counted


def _placed(shape: Any, scale: tuple[float, float], offset: tuple[float, float]) -> Any:
    """In px of level 0, to a hundredth where that leaves the polygon valid."""
    import shapely

    exact = shapely.transform(shape, lambda c: c * scale[::-1] + offset[::-1])
    rounded = shapely.transform(exact, lambda c: np.round(c, 2))
    for found in (rounded, exact):
        if found.is_valid:
            return found
    return shapely.make_valid(exact, method="structure", keep_collapsed=False)


@contextmanager
def _packed(path: Path, pack: bool) -> Iterator[io.TextIOBase]:
    with open(path, "wb") as raw:
        # no time and no name inside: the same map gives the same file
        binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if pack else raw
        with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as text:
            yield text


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
