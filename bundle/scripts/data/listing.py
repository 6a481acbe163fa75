"""Images of a folder that a datalist can name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.image_files import image_files
from ..core.images import suffix
from ..core.paths import shown

__all__ = ["by_stem", "is_text", "listed"]


def listed(folder: Path, recursive: bool = False, leave_out: Iterable[Path] = ()) -> tuple[list[Path], list[str]]:
    """Image files of a folder and what of it was not looked at, names that no datalist can hold among it.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
    """
    files, faults = image_files(folder, recursive, leave_out)
    good = [path for path in files if is_text(path)]
    faults += [f"{path}: its name is not UTF-8; rename it" for path in files if not is_text(path)]
    if not good:
        raise FileNotFoundError("; ".join([f"{folder}: no image found", *map(shown, faults[:3])]))
    return good, [shown(fault) for fault in faults]


def by_stem(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Files of a folder by their paths in it without suffix, as an image and its mask share it.

    Raises:
        ValueError: two of one stem.
    """
    found: dict[str, Path] = {}
    for file in files:
        stem = file.relative_to(folder).as_posix()
        other = found.setdefault(stem[: -len(suffix(file))], file)
        if other != file:
            raise ValueError(f"{file.parent}: found {other.name} and {file.name}, expected one file of a name")
    return found


def is_text(path: str | Path) -> bool:
    """Whether a path is Unicode, as JSON is; file systems take other bytes, too."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
