"""Files that are either whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

__all__ = ["atomic_path", "discard_unfinished", "make_folder", "save_state", "write_json", "write_text"]

_PREFIX = ".writing-"
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the folder of ``path``; rename it to ``path`` if the block ends well, else remove it.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # mkstemp's are private
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and error.filename is None:  # such as that of a full disk
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: str | Path) -> Path:
    """Create a folder, and refuse one that cannot be written.

    Raises:
        PermissionError: with the folder's name and what to do.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(f"cannot write to {folder}: {error.strerror}; choose another output folder") from error
    return folder


def discard_unfinished(path: str | Path, recursive: bool = False) -> None:
    """Remove what a process that was killed while it wrote has left, of one file or in a folder. None may be writing now.

    Args:
        path: the file, or the folder.
        recursive: the folder's subfolders too.
    """
    path = Path(path)
    folder, prefix = (path, _PREFIX) if path.is_dir() else (path.parent, _prefix(path))
    for left in folder.rglob(f"{prefix}*") if recursive else folder.glob(f"{prefix}*"):
        left.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """Names of temporary files tell what they were to become, however long its name."""
    return f"{_PREFIX}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically; bytes of file names that are not UTF-8 are escaped, as JSON does."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def save_state(path: str | Path, state: Any, save: Callable[[Any, Any], None] = torch.save) -> None:
    """Write a checkpoint atomically, of the same bytes for the same state.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            with temporary.open("wb") as file:  # whose name, which is another each time, would go into the archive
                save(state, file)
        except RuntimeError as error:  # what PyTorch makes of an error of the file system
            if "inline_container" not in str(error):
                raise
            number = errno.ENOSPC if shutil.disk_usage(temporary.parent).free < 2**20 else errno.EIO
            raise OSError(number, os.strerror(number)) from error
