"""Which files are slides, what belongs to one, and when it has changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..core.paths import shown

__all__ = ["SLIDE_SUFFIXES", "check_unchanged", "is_slide_name", "one_per_series", "slide_state"]

#: Ends of the names of slides.
SLIDE_SUFFIXES = (
    ".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi", ".dcm",
    ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".qptiff",
)  # fmt: skip

_HEADER = 2**16  # bytes of a DICOM file in which its series is named
_IN_FOLDER = (".mrxs", ".dcm")  # slides of more than the one file


def is_slide_name(path: str | Path) -> bool:
    """Whether a file's name ends as that of a slide."""
    return Path(path).suffix.lower() in SLIDE_SUFFIXES


def slide_state(path: str | Path, mpp: Sequence[float] | None = None, alone: bool = False) -> str:
    """What tells that a slide is still the one it was: size and time of its files, and the pixel size that its list says.

    Its place is no part of it, so that slides can be moved.

    Args:
        path: the slide; the files of an MRXS's folder and of a DICOM's series count with it.
        mpp: (y, x) in µm/px.
        alone: of a DICOM's folder, to which other slides may come at any time, the file alone.

    Raises:
        OSError: no such file.
    """
    path = Path(path)
    states = [os.stat(path)]
    if path.suffix.lower() in _IN_FOLDER and not (alone and path.suffix.lower() == ".dcm"):
        with suppress(OSError):
            states += [entry.stat() for entry in _companions(path)]
    listed = "" if mpp is None else f", {mpp[0]:g} x {mpp[1]:g} µm/px"
    return f"{sum(s.st_size for s in states)} bytes, {max(s.st_mtime_ns for s in states)} ns{listed}"


def check_unchanged(path: str | Path, state: str) -> None:
    """See that a slide is still the one that it was, as :func:`slide_state` (``alone``) said.

    Raises:
        OSError: it, or the share that it lies on, is gone; or it has changed.
    """
    try:
        now = slide_state(path, alone=True)
    except OSError as error:
        raise type(error)(
            f"{shown(path)}: is no longer there ({error.strerror}); once it is back, the same command continues"
        ) from error
    if now != state:
        raise OSError(
            f"{shown(path)}: has changed while it was read: found {now}, at the start {state}; once it is whole, run again"
        )


def _companions(path: Path) -> Iterator[os.DirEntry]:
    folder = path.with_suffix("") if path.suffix.lower() == ".mrxs" else path.parent
    with os.scandir(folder) as entries:
        for entry in entries:
            other = Path(entry.path)
            if folder != path.parent or (other.name != path.name and other.suffix.lower() == path.suffix.lower()):
                yield entry


def one_per_series(paths: Iterable[Path]) -> list[Path]:
    """A DICOM slide is many files, of which any opens it: the first of each series and folder stays. Other slides all stay.

    A series of nothing but labels and overviews is no slide.
    """
    kept: list[Path] = []
    series: dict[tuple[Path, str], tuple[Path, bool]] = {}
    for path in paths:
        if path.suffix.lower() != ".dcm":
            kept.append(path)
            continue
        uid, has_levels = _dicom(path)
        key = (path.parent, uid or path.name)
        first, before = series.get(key, (path, False))
        series[key] = (first, before or has_levels)
    return sorted([*kept, *(path for path, has_levels in series.values() if has_levels)])


def _dicom(path: Path) -> tuple[str, bool]:
    """Series of a DICOM file, ``""`` if it says none, and whether it may hold a level of the slide."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return "", True  # who opens it says what is wrong
    uid = re.search(rb"\x20\x00\x0e\x00UI..([0-9.]{1,64})", header, flags=re.S)
    kind = re.search(rb"\x08\x00\x08\x00CS..([A-Z\\_ ]{1,64})", header, flags=re.S)
    levels = kind is None or not re.search(rb"LABEL|OVERVIEW|LOCALIZER", kind[1])
    return uid[1].decode() if uid else "", levels
