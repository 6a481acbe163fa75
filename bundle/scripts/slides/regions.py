"""What the annotations of a slide say: which tissue fills a region, and which tissues a patch shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.arguments import nearest
from ..core.ranges import shown
from .qupath import Region

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
        shape: Polygon or MultiPolygon of shapely, (x, y) in px of level 0.
        box: (top, left, bottom, right) in px of level 0.
        size: its area in px² of level 0; 0 of what is to be ignored.
    """

    value: int
    shape: Any
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


def read_regions(drawn: Iterable[Region], names: ClassNames, frame: Frame) -> Regions:
    """Sort what is drawn on a slide.

    A polygon of one class is a region that this tissue fills. A point says what the patch around it shows; so does a
    rectangle about the size of a patch, and its name or class may list several classes. Of QuPath's ``Ignore*`` nothing is
    known, whatever else covers it; other classes with a star, and annotations without class, say nothing. Objects that are
    no annotations (cells, detections) and lines are passed over.

    Args:
        drawn: what :func:`~.qupath.read_qupath` gives; a property ``where`` names one in messages, if it is not its number.
        names: the classes.
        frame: where they lie.
    """
    found = Regions()
    faults: dict[str, list[str]] = {}
    for number, region in enumerate(drawn, start=1):
        if region.properties.get("objectType") in _OBJECTS and (fault := _take(region, names, frame, found)):
            faults.setdefault(fault, []).append(str(region.properties.get("where") or f"feature {number}"))
    for fault, places in faults.items():
        others = f" and {len(places) - 1} others" if len(places) > 1 else ""
        found.faults.append(f"{frame.where}, {places[0]}{others}: {fault}")
    found.areas.sort(key=lambda area: -area.size)
    return found


def _take(region: Region, names: ClassNames, frame: Frame, found: Regions) -> str | None:
    """Add an annotation to what was found; what is wrong with it, or ``None``."""
    kind = region.shape.geom_type
    if kind not in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        return None
    name = region.properties.get("name")
    text = region.name or (name.strip() if isinstance(name, str) else "")
    ignored = text == "Ignore*"
    if text.endswith("*") and not ignored:
        text = ""
    classes, unknown = ((), []) if ignored else names.find(text)
    if not text or (unknown and not classes and not region.name):  # a name may be any remark
        found.unnamed += 1
        return None
    fault = f"class {shown(', '.join(unknown))} is {names.near(unknown[0])}" if unknown else None
    left, top, right, bottom = region.shape.bounds
    if "Point" in kind:
        if not (0 <= top <= bottom <= frame.size[0] and 0 <= left <= right <= frame.size[1]):
            return _outside(frame)
        if classes and not fault:
            points = getattr(region.shape, "geoms", [region.shape])
            found.told += [(point.y, point.x, classes) for point in points]
        return fault
    if bottom <= 0 or right <= 0 or top >= frame.size[0] or left >= frame.size[1]:
        return _outside(frame)
    size, sides = region.shape.area, (bottom - top, right - left)
    full = kind == "Polygon" and not region.shape.interiors and math.isclose(size, sides[0] * sides[1])
    shares = [side / whole for side, whole in zip(sides, frame.patch, strict=True)]
    if full and classes and not unknown and all(_LEAST <= share <= _MOST for share in shares):
        found.told.append(((top + bottom) / 2, (left + right) / 2, classes))
        return None
    value = classes[0] if len(classes) == 1 and not unknown else NOT_SAID
    # what is to be ignored is drawn last
    found.areas.append(Area(value, region.shape, (top, left, bottom, right), 0.0 if ignored else size))
    if len(classes) > 1 and not fault:
        height, width = (f"{side:.0f}" for side in frame.patch)
        return (
            f"name several classes, but are neither points nor rectangles of a patch's size, {height} x {width} px of level "
            f"0 (each side {_LEAST} to {_MOST} times that): outline each tissue, or set points"
        )
    return fault


def _outside(frame: Frame) -> str:
    return f"lie outside the slide, which has {frame.size[0]} x {frame.size[1]} px (H x W); are they of another slide?"


def _plain(name: str) -> str:
    return " ".join(str(name).split()).casefold()
