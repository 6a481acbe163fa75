"""What the annotations of a slide say: which tissue fills a region, and which tissues a patch shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.arguments import nearest
from ..core.ranges import shown

__all__ = ["NOT_SAID", "Area", "ClassNames", "Frame", "Regions", "read_regions"]

#: Value of an area of which no class is known.
NOT_SAID = 255
_SEPARATORS = re.compile(r"\s*[,+:;|]\s*")
# a rectangle is a patch where its sides are this many of a patch's
_LEAST, _MOST = 0.9, 1.5
_OBJECTS = (None, "annotation", "tile", "PathAnnotationObject", "PathTileObject")


@dataclass(frozen=True)
class Area:
    """A region that a tissue fills.

    Args:
        value: index of its class, or :data:`NOT_SAID`.
        shape: GeoJSON Polygon or MultiPolygon in (x, y) of level 0.
        box: (top, left, bottom, right) in px of level 0.
        size: its area in px² of level 0.
    """

    value: int
    shape: Mapping[str, Any]
    box: tuple[float, float, float, float]
    size: float


@dataclass
class Regions:
    """Annotations of a slide.

    Args:
        areas: the larger first: where two overlap, the smaller counts.
        told: middle (y, x) in px of level 0 and classes of each patch that an annotation describes as a whole.
        faults: a message for each kind of thing that cannot be used.
        unnamed: number of annotations without a class, which say nothing.
    """

    areas: list[Area] = field(default_factory=list)
    told: list[tuple[float, float, tuple[int, ...]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unnamed: int = 0


@dataclass(frozen=True)
class Frame:
    """Where annotations lie.

    Args:
        where: file of the annotations, for messages.
        size: (H, W) of the slide's bounds in px of level 0, from whose corner coordinates count.
        patch: (height, width) of a patch in px of level 0.
    """

    where: str
    size: tuple[int, int]
    patch: tuple[float, float]


class ClassNames:
    """Classes by the names that annotations give them: short or long, in any case.

    Args:
        classes: short names.
        descriptions: long ones.
    """

    def __init__(self, classes: Sequence[str], descriptions: Sequence[str] = ()) -> None:
        self.classes = list(classes)
        self._index = {_plain(name): k for names in (descriptions, classes) for k, name in enumerate(names)}

    def find(self, text: str) -> tuple[tuple[int, ...], list[str]]:
        """Classes that a text names, several between ``,``, ``+``, ``:``, ``;`` or ``|``, and the parts that name none."""
        if _plain(text) in self._index:
            return (self._index[_plain(text)],), []
        parts = [part for part in _SEPARATORS.split(text.strip()) if part]
        found = {self._index[_plain(part)] for part in parts if _plain(part) in self._index}
        return tuple(sorted(found)), [part for part in parts if _plain(part) not in self._index]

    def near(self, text: str) -> str:
        """End of a message about a name that is none: the classes, and the one that is spelt most like it."""
        found = nearest(_plain(text), self._index)
        hint = "" if found is None else f"; is {self.classes[self._index[found]]!r} meant?"
        return f"none of the classes {', '.join(self.classes)}{hint}"


def read_regions(features: Iterable[Mapping[str, Any]], names: ClassNames, frame: Frame) -> Regions:
    """Sort the annotations of a slide.

    A polygon of one class is a region that this tissue fills. A point says what the patch around it shows; so does a
    rectangle about the size of a patch, and its name or class may list several classes. Of QuPath's ``Ignore*`` nothing is
    known, whatever else covers it; other classes with a star, and annotations without class, say nothing. Objects that are
    no annotations (cells, detections) and lines are passed over.

    Args:
        features: GeoJSON features in px of level 0; ``"where"`` names one in messages, if it is not to be its number.
        names: the classes.
        frame: where they lie.
    """
    found = Regions()
    faults: dict[str, list[str]] = {}
    for number, feature in enumerate(features, start=1):
        where = str(feature.get("where") or f"feature {number}")
        properties = feature.get("properties") or {}
        if not isinstance(properties, Mapping) or properties.get("objectType") not in _OBJECTS:
            continue
        try:
            fault = _take(feature, properties, names, frame, found)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError):
            fault = "have coordinates that are none, or no area"
        if fault:
            faults.setdefault(fault, []).append(where)
    for fault, places in faults.items():
        others = f" and {len(places) - 1} others" if len(places) > 1 else ""
        found.faults.append(f"{frame.where}, {places[0]}{others}: {fault}")
    found.areas.sort(key=lambda area: -area.size)
    return found


def _take(
    feature: Mapping[str, Any], properties: Mapping[str, Any], names: ClassNames, frame: Frame, found: Regions
) -> str | None:
    """Add an annotation to what was found; what is wrong with it, or ``None``."""
    text, said = _text(properties)
    kind, coordinates = str((feature.get("geometry") or {}).get("type")), (feature.get("geometry") or {}).get("coordinates")
    if kind not in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        return None
    ignored = text == "Ignore*"
    if text.endswith("*") and not ignored:
        text = ""
    classes, unknown = ((), []) if ignored else names.find(text)
    if not text or (unknown and not classes and not said):  # a name may be any remark
        found.unnamed += 1
        return None
    fault = f"class {shown(', '.join(unknown))} is {names.near(unknown[0])}" if unknown else None
    if "Point" in kind:
        points = [(float(p[1]), float(p[0])) for p in ([coordinates] if kind == "Point" else coordinates)]
        if not points or not all(math.isfinite(v) for point in points for v in point):
            raise ValueError("no place")
        if not all(0 <= v <= side for point in points for v, side in zip(point, frame.size, strict=True)):
            return _outside(frame)
        found.told += [] if fault or not classes else [(*point, classes) for point in points]
        return fault
    area = _area({"type": kind, "coordinates": coordinates}, classes[0] if len(classes) == 1 and not unknown else NOT_SAID)
    top, left, bottom, right = area.box
    if bottom <= 0 or right <= 0 or top >= frame.size[0] or left >= frame.size[1]:
        return _outside(frame)
    sides = (bottom - top) / frame.patch[0], (right - left) / frame.patch[1]
    full = kind == "Polygon" and len(coordinates) == 1 and math.isclose(area.size, (bottom - top) * (right - left))
    if full and classes and not unknown and all(_LEAST <= side <= _MOST for side in sides):
        found.told.append(((top + bottom) / 2, (left + right) / 2, classes))
        return None
    found.areas.append(replace(area, size=0.0) if ignored else area)  # drawn last
    if len(classes) > 1 and not fault:
        height, width = (f"{side:.0f}" for side in frame.patch)
        return (
            f"name several classes, but are neither points nor rectangles of a patch's size, {height} x {width} px of level "
            f"0 (each side {_LEAST} to {_MOST} times that): outline each tissue, or set points"
        )
    return fault


def _text(properties: Mapping[str, Any]) -> tuple[str, bool]:
    """Class of an annotation, or else its name, and whether it was the class."""
    said = properties.get("classification")
    if isinstance(said, Mapping):
        names = said.get("names")
        said = said.get("name") or (": ".join(map(str, names)) if isinstance(names, Sequence) else None)
    if isinstance(said, str) and said.strip():
        return said.strip(), True
    name = properties.get("name")
    return (name.strip() if isinstance(name, str) else ""), False


def _area(shape: Mapping[str, Any], value: int) -> Area:
    """Raises ValueError or the like where it is no polygon, or an empty one."""
    polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
    rings = [[(float(p[0]), float(p[1])) for p in ring] for polygon in polygons for ring in polygon]
    signed = [abs(_doubled(ring)) / 2 for ring in rings]
    outer = list(_first_of_each(polygons))
    size = sum(area if is_outer else -area for area, is_outer in zip(signed, outer, strict=True))
    x, y = ([p[axis] for ring in rings for p in ring] for axis in (0, 1))
    if not all(map(math.isfinite, (*x, *y))) or min(map(len, rings)) < 3 or not size > 0:
        raise ValueError("no area")
    return Area(value, shape, (min(y), min(x), max(y), max(x)), size)


def _first_of_each(polygons: Sequence[Sequence[Any]]) -> Iterator[bool]:
    for polygon in polygons:
        yield from (k == 0 for k in range(len(polygon)))


def _doubled(ring: Sequence[tuple[float, float]]) -> float:
    """Twice the signed area within a ring."""
    x0, y0 = ring[0]
    moved = [(x - x0, y - y0) for x, y in ring]
    return math.fsum(a[0] * b[1] - b[0] * a[1] for a, b in zip(moved, [*moved[1:], moved[0]], strict=True))


def _outside(frame: Frame) -> str:
    return f"lie outside the slide, which has {frame.size[0]} x {frame.size[1]} px (H x W); are they of another slide?"


def _plain(name: str) -> str:
    return " ".join(str(name).split()).casefold()
