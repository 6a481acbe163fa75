"""The slides of a cohort: of a folder, a pattern, a table or a file, each once, under its own name; and shards of them."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..core.geometry import as_mpp
from ..core.image_files import is_hidden, visible_files
from ..core.names import unique_names
from ..core.paths import shown
from ..inference.inputs import is_written, tabled_files
from .slide_files import SLIDE_SUFFIXES, is_slide_name, one_per_series
from .slide_record import is_of, read_record, record_path

__all__ = ["SlideTask", "cohort_slides", "of_shard", "shard_number", "stage_folder"]

logger = logging.getLogger(__name__)

_TABLES = (".csv", ".tsv", ".txt")
_RESERVED = {"stage", "environment", "cohort"}  # <name>.json is another file of the output folder


@dataclass(frozen=True)
class SlideTask:
    """A slide to segment.

    Args:
        path: its file.
        name: that of its outputs, unique within the cohort.
        mpp: pixel size (y, x) in µm/px where the user says it; else the file does.
    """

    path: Path
    name: str
    mpp: tuple[float, float] | None = None


def cohort_slides(
    source: str | Path | Sequence[str | Path], folder: str | Path, mpp: Any = None
) -> tuple[list[SlideTask], list[str]]:
    """Find the slides of a cohort.

    Args:
        source: a slide, a folder (searched with its subfolders), a pattern (``slides/*.svs``, ``**`` for all subfolders), a
            table with columns ``slide`` (relative to it) and, where wanted, ``mpp``, or a list of slides, folders, patterns.
            Hidden files and what earlier runs have written are passed over; a DICOM series is one slide.
        folder: output folder, by whose records a slide keeps its name.
        mpp: µm/px of all slides, one number or (y, x), above what a table says.

    Returns:
        The slides, sorted by path, and a message for each that was listed and cannot be segmented.

    Raises:
        FileNotFoundError: no such file, folder, or no slide in it.
        ValueError: a malformed table; a pixel size that is none.
    """
    stated = None if mpp is None else as_mpp(mpp, "mpp")
    listed, faults = _listed(source, Path(folder))
    found = {path: size for path, size in listed if path.is_file()}
    faults += [f"{path}: no such file" for path, _ in listed if path not in found]
    once: dict[str, tuple[Path, Any]] = {}
    for path in sorted(found):
        first, size = once.setdefault(os.path.realpath(path), (path, found[path]))
        if size != found[path]:
            raise ValueError(shown(f"{path}: is the same slide as {first}, with mpp {size} and {found[path]}"))
    paths = one_per_series(path for path, _ in once.values())
    if not paths:
        what = f"; {faults[0]}" if faults else f", expected files {', '.join(SLIDE_SUFFIXES)}"
        raise FileNotFoundError(shown(f"{source}: found no slide{what}"))
    tasks = []
    for path, name in zip(paths, _names(paths, Path(folder)), strict=True):
        record = read_record(folder, name)
        if record and not is_of(record, path):
            faults.append(
                f"{path}: skipped, as {record_path(folder, name)} is the record of {record['slide']}, whose results its own "
                "would overwrite; choose another output_dir, or remove what is not needed"
            )
        else:
            tasks.append(SlideTask(path, name, stated or found[path]))
    return tasks, [shown(fault) for fault in faults]


def of_shard(tasks: Sequence[SlideTask], shard: str | Sequence[int] | None) -> list[SlideTask]:
    """The slides of one of n processes that work side by side: each slide is in one shard, and shards differ by one at most.

    Args:
        tasks: all slides; their order does not count.
        shard: as :func:`shard_number` takes it; ``None``: all.
    """
    number, count = shard_number(shard)
    return sorted(tasks, key=lambda task: task.path)[number - 1 :: count]


def shard_number(shard: str | Sequence[int] | None) -> tuple[int, int]:
    """(i, n) of ``"i/n"`` or (i, n), i of 1 to n; (1, 1) of ``None``.

    Raises:
        ValueError: not such a shard.
    """
    if shard is None:
        return 1, 1
    text = shard if isinstance(shard, str) else "/".join(map(str, shard)) if isinstance(shard, Sequence) else ""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"shard: found {shard!r}, expected i/n with i of 1 to n, such as 3/20")
    return number, count


def stage_folder(output_dir: str | Path, shard: str | Sequence[int] | None) -> str:
    """Folder of a run's record: that of the whole run, or one for each shard, as shards run side by side.

    Raises:
        ValueError: not a shard.
    """
    number, count = shard_number(shard)
    return str(output_dir) if shard is None else str(Path(output_dir) / "shards" / f"{number}-of-{count}")


def _listed(source: Any, folder: Path) -> tuple[list[tuple[Path, Any]], list[str]]:
    """Files, with their pixel size where a table says it, and faults."""
    if not isinstance(source, (str, Path)):
        parts = [_listed(part, folder) for part in source]
        return [row for rows, _ in parts for row in rows], [fault for _, faults in parts for fault in faults]
    path = Path(source)
    if path.is_dir():
        return _searched(path, folder)
    if path.suffix.lower() in _TABLES and (path.is_file() or not glob.has_magic(str(path))):
        return _tabled(path), []
    if path.is_file():
        return [(path, None)], []
    if not glob.has_magic(str(source)):
        raise FileNotFoundError(shown(f"{path}: no such file or folder, expected slides to segment"))
    rows, faults = [], []
    is_result = _Results()
    for found in sorted(Path(p) for p in glob.glob(os.path.expanduser(str(source)), recursive=True)):
        if found.is_dir():  # ** gives every folder too, whose slides it gives by itself
            more = ([], []) if str(source).endswith("**") else _searched(found, folder)
            rows += more[0]
            faults += more[1]
        elif is_slide_name(found) and not is_hidden(found) and not is_result(found, found.parent):
            rows.append((found, None))
    return rows, faults


def _searched(root: Path, output: Path) -> tuple[list[tuple[Path, Any]], list[str]]:
    """Slides of a folder and its subfolders, in which links are followed, each folder once."""
    rows: list[tuple[Path, Any]] = []
    faults: list[str] = []
    passed = 0
    is_result = _Results()
    leave_out = {os.path.realpath(output)} - {os.path.realpath(root)}
    for path in visible_files(root, faults, leave_out=leave_out):
        if is_slide_name(path) and is_result(path, root):
            passed += 1
        elif is_slide_name(path):
            rows.append((path, None))
    if passed:
        logger.info("%s: %d files that earlier runs wrote are left out", shown(root), passed)
    return rows, faults


class _Results:
    """Whether a file is what an earlier run has written: in a stage's folder, or a label map beside its record or areas."""

    def __init__(self) -> None:
        self._is_written = cache(is_written)

    def __call__(self, path: Path, root: Path) -> bool:
        stem = re.fullmatch(r"(.+)\.ome\.tiff?", path.name, flags=re.I)
        if stem and ((path.parent / f"{stem[1]}_areas.json").is_file() or read_record(path.parent, stem[1])):
            return True
        above = list(path.relative_to(root).parents)[:-1]  # the folder itself is what was asked for
        return any(self._is_written(root / part) for part in above)


def _tabled(path: Path) -> list[tuple[Path, Any]]:
    """Files and pixel sizes of a table's columns ``slide`` and ``mpp``; other columns may be there."""
    sizes: dict[Path, Any] = {}
    for where, slide, mpp in tabled_files(path, "slide"):
        if sizes.setdefault(slide, mpp) != mpp:
            raise ValueError(shown(f"{where}: {slide} is listed twice, with mpp {sizes[slide]} and {mpp}"))
    return list(sizes.items())


def _names(paths: Sequence[Path], folder: Path) -> list[str]:
    """A name for each slide: that of its record in the folder, or its own; other letter case is no other name everywhere."""
    names = unique_names(paths)
    before = _recorded(folder, paths)
    taken = {name.casefold() for name in before.values()} | _RESERVED
    taken |= {f"{name.casefold()}_areas" for name in names}  # whose areas are <name>_areas.json
    result = []
    for path, name in zip(paths, names, strict=True):
        own, number = before.get(path, name), 1
        while path not in before and own.casefold() in taken:
            number += 1
            own = f"{name}_{number}"
        taken.add(own.casefold())
        result.append(own)
    return result


def _recorded(folder: Path, paths: Iterable[Path]) -> dict[Path, str]:
    """Names that slides have in the folder by records of theirs, when one slide more has changed what names are unique."""
    if not folder.is_dir():
        return {}
    places = {shown(os.path.abspath(path)): path for path in paths}
    found = {}
    for file in sorted(folder.glob("*.json")):
        record = {} if file.stem.endswith("_areas") else read_record(folder, file.stem)
        if record and record["slide"] in places:
            found[places[record["slide"]]] = file.stem
    return found
