"""Slides and their annotations: files that lie side by side, or what a table says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.extras import extra
from ..core.image_files import is_hidden
from ..core.paths import shown
from ..core.ranges import MPP
from ..data.groups import groups_of_slides
from ..data.tables import Table, read_table
from .qupath import Region, read_qupath
from .slide_files import SLIDE_SUFFIXES, is_slide_name, one_per_series

__all__ = ["AnnotatedSlide", "annotated_slides"]

_ANNOTATIONS = (".geojson", ".geojson.gz")
_TABLE = "slides.csv"  # in a folder of slides
_FILE, _CLASS, _GROUP = ("annotations", "annotation", "geojson"), ("class", "classes", "label"), ("group", "patient")
_BOX = ("top", "left", "height", "width")


@dataclass
class AnnotatedSlide:
    """A slide with annotations.

    Args:
        path: its file.
        name: its name, which no other slide of the source has.
        group: patient, case or slide.
        file: file of the annotations.
        mpp: µm/px of level 0 as a table says it.
        regions: those of a table's rows; ``None``: they are in the file.
    """

    path: Path
    name: str
    group: str
    file: Path
    mpp: float | None = None
    regions: list[Region] | None = None

    def drawn(self) -> list[Region]:
        """What is drawn on it, in px of level 0.

        Raises:
            OSError, ValueError: the file cannot be read.
        """
        return read_qupath(self.file) if self.regions is None else self.regions


def annotated_slides(
    source: str | Path, pattern: re.Pattern[str] | None = None
) -> tuple[list[AnnotatedSlide], list[str], Path | None]:
    """Find slides and their annotations.

    Args:
        source: a folder of slides (searched with its subfolders), beside each its ``<slide>.geojson``, ``.geojson.gz`` too,
            with or without the slide's own suffix; or a table, which may lie there as ``slides.csv``. Columns of a table:
            ``slide``; either ``annotations`` (a GeoJSON file), or ``class``, ``top``, ``left``, ``height``, ``width`` in px
            of level 0; and where wanted ``group`` or ``patient``, and ``mpp`` of level 0. Paths are relative to it.
        pattern: of the setting ``group``.

    Returns:
        The slides, a message for each that cannot be used, and the table.

    Raises:
        FileNotFoundError: no slide is found.
        ValueError: a malformed table, or a pattern that does not fit each slide.
    """
    source = Path(source)
    table = source if source.is_file() else source / _TABLE if (source / _TABLE).is_file() else None
    base = source if table is None else table.parent
    found, faults = _beside(source) if table is None else _listed(table)
    found, more = _one_of_a_name(found, base)
    faults += more
    for slide in [s for s in found if not s.path.is_file()]:
        faults.append(f"{shown(slide.path)}: no such file")
        found.remove(slide)
    if not found:
        what = f"; {faults[0]}" if faults else f", expected files {', '.join(SLIDE_SUFFIXES)} or a table of them"
        raise FileNotFoundError(f"{shown(source)}: found no slide with annotations{what}")
    groups = groups_of_slides({slide.name: slide.path for slide in found}, base, pattern)
    for slide in found:
        slide.group = groups[slide.name] if pattern or not slide.group else slide.group
    return found, faults, table


def _beside(folder: Path) -> tuple[list[AnnotatedSlide], list[str]]:
    paths, files = [], {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for path in (Path(place) / name for name in sorted(names) if not is_hidden(name)):
            if path.name.lower().endswith(_ANNOTATIONS):
                files.setdefault((path.parent, _without_suffix(path)), []).append(path)
            elif is_slide_name(path) and not _is_label_map(path):
                paths.append(path)
    found, faults, bare = [], [], []
    for path in one_per_series(paths):
        own = [f for name in (path.name, path.stem) for f in files.get((path.parent, name), [])]
        if len(own) > 1:
            faults.append(f"{shown(path)}: its annotations may be {own[0].name} or {own[1].name}; keep one beside it")
        elif own:
            found.append(AnnotatedSlide(path, path.stem, "", own[0]))
        else:
            bare.append(path)
    if bare:
        others = f" (and {len(bare) - 1} other slides)" if len(bare) > 1 else ""
        faults.append(f"{shown(bare[0])}{others}: no annotations beside it, expected {bare[0].stem}.geojson from QuPath")
    return found, faults


def _is_label_map(path: Path) -> bool:
    """Whether a file is what was written of a slide that was segmented."""
    name = re.sub(r"\.ome\.tiff?$", "", path.name, flags=re.I)
    return name != path.name and path.with_name(f"{name}_areas.json").is_file()


def _without_suffix(path: Path) -> str:
    return re.sub(r"\.geojson(\.gz)?$", "", path.name, flags=re.I)


def _listed(path: Path) -> tuple[list[AnnotatedSlide], list[str]]:
    table = read_table(path, "slide")
    columns = [re.sub(r"[\s_]*id$", "", name.strip().lower()) for name in table.columns]
    file, named = (next((name for name in names if name in columns), None) for names in (_FILE, _CLASS))
    if file is None and not (named and all(name in columns for name in _BOX)):
        raise ValueError(
            f"{shown(path)}: found columns {', '.join(table.columns)}, expected slide and either annotations (a GeoJSON "
            f"file) or class, {', '.join(_BOX)}"
        )
    group = next((name for name in _GROUP if name in columns), None)
    found: dict[Path, AnnotatedSlide] = {}
    faults: list[str] = []
    for line, row in _rows(table, columns):
        where = f"{shown(path)}, line {line}"
        if not row["slide"]:
            raise ValueError(f"{where}: names no slide")
        place = path.parent / row["slide"]
        mpp = _number(row.get("mpp", ""), f"{where}, column mpp")
        if mpp is not None and mpp not in MPP:
            raise ValueError(f"{where}, column mpp: found {row['mpp']!r}, expected {MPP}")
        annotations = path if file is None else path.parent / row[file]
        slide = AnnotatedSlide(place, place.stem, row.get(group or "", ""), annotations, mpp)
        slide.regions = [] if file is None else None
        known = found.setdefault(place, slide)
        if (known.group, known.file, known.mpp) != (slide.group, slide.file, mpp) or (known is not slide and file):
            raise ValueError(f"{where}: {row['slide']!r} is listed before with another group, mpp or file, or twice")
        if file is None:
            known.regions.append(_drawn(row, named, where, f"line {line}"))
        elif known is slide and not (row[file] and annotations.is_file()):
            faults.append(f"{where}: {shown(annotations)}: no such file, expected the annotations of {row['slide']!r}")
            del found[place]
    return list(found.values()), faults


def _rows(table: Table, columns: list[str]) -> list[tuple[int, dict[str, str]]]:
    return [(line, dict(zip(columns, cells, strict=True))) for line, cells in table.rows]


def _drawn(row: Mapping[str, str], named: str, where: str, line: str) -> Region:
    """A rectangle as QuPath would export it; a point where it has neither height nor width."""
    top, left, height, width = (_number(row[name], f"{where}, column {name}") for name in _BOX)
    if top is None or left is None or (height is None) != (width is None):
        raise ValueError(f"{where}: expected top, left, height and width in px of level 0, or top and left of a point")
    if height is not None and not (height > 0 and width > 0):
        raise ValueError(f"{where}: found a region of {height:g} x {width:g} px (height x width), expected some of each")
    shapely = extra("shapely")
    shape = shapely.Point(left, top) if height is None else shapely.box(left, top, left + width, top + height)
    return Region(row[named], shape, {"where": line})


def _number(cell: str, where: str) -> float | None:
    if not cell:
        return None
    with suppress(ValueError):
        return float(cell.replace(",", "."))
    raise ValueError(f"{where}: found {cell[:80]!r}, expected a number")


def _one_of_a_name(slides: list[AnnotatedSlide], base: Path) -> tuple[list[AnnotatedSlide], list[str]]:
    """Slides without those that share a name, which may be one slide twice."""
    by_name: dict[str, list[AnnotatedSlide]] = {}
    for slide in slides:
        by_name.setdefault(slide.name.casefold(), []).append(slide)
    faults = [
        f"{' and '.join(shown(os.path.relpath(s.path, base)) for s in same)}: slides of one name, none of them is used; "
        "rename one, or move one away if they are the same"
        for same in by_name.values()
        if len(same) > 1
    ]
    return [same[0] for same in by_name.values() if len(same) == 1], faults
