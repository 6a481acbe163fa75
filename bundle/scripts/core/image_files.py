"""The image files of a folder, and what of it could not be looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .images import IMAGE_SUFFIXES, suffix

__all__ = ["image_files", "is_hidden", "visible_files"]


def image_files(
    folder: str | Path, recursive: bool = False, leave_out: Iterable[str | Path] = ()
) -> tuple[list[Path], list[str]]:
    """Files of a folder whose suffix is that of an image, sorted, and a message for everything that was not looked at.

    Hidden files and folders (``.name``, ``__MACOSX``) are passed over. Links to files and folders are followed, a folder
    that several of them lead to is searched once. A link that leads nowhere and a subfolder that cannot be read are no
    images, and are not passed over in silence either: each gives a message.

    Args:
        folder: folder to search.
        recursive: whether to search its subfolders.
        leave_out: folders that are not searched, such as that of the output.

    Raises:
        FileNotFoundError: no such folder.
        NotADirectoryError: not a folder.
        PermissionError: it cannot be read.
    """
    folder = Path(folder)
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise type(error)(f"{folder}: {error.strerror}, expected a folder of images that can be read") from error
    files: list[Path] = []
    faults: list[str] = []
    for path in visible_files(folder, faults, recursive, leave_out):
        if suffix(path) not in IMAGE_SUFFIXES:
            continue
        if path.is_file():
            files.append(path)
        elif path.is_symlink():
            faults.append(f"{path}: a link to {os.readlink(path)}, which does not exist")
        else:
            faults.append(f"{path}: not a regular file")
    return sorted(files), faults


def visible_files(
    folder: Path, faults: list[str], recursive: bool = True, leave_out: Iterable[str | Path] = ()
) -> Iterator[Path]:
    """What a folder holds that is neither hidden nor a folder; links to folders are followed, each folder is searched once.

    Args:
        folder: folder to search.
        faults: gets a message for each folder that cannot be read.
        recursive: whether to search its subfolders.
        leave_out: folders that are not searched.
    """
    seen = {os.path.realpath(p) for p in leave_out}
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            faults.append(f"{place}: cannot be searched ({error.strerror}); give the right to read it, or move it away")
            continue
        for entry in entries:
            path = place / entry.name
            if is_hidden(path):
                continue
            if not entry.is_dir():
                yield path
            elif recursive:
                waiting.append(path)


def is_hidden(path: str | Path) -> bool:
    """Whether a file or folder is one that systems leave beside data: ``.name`` (``._name`` of macOS), ``__MACOSX``."""
    name = Path(path).name
    return name.startswith(".") or name == "__MACOSX"
