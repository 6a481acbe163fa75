"""Files that cannot serve any more are put aside under another name, never deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .digest import file_sha256

__all__ = ["put_aside"]


def put_aside(path: str | Path, companions: Sequence[str | Path] = ()) -> Path:
    """Rename ``last.pt`` to ``last.<8 hexadecimal digits>.pt``, by its content, so that the same file gets the same name.

    Args:
        path: file that is there.
        companions: files beside it that belong to it, renamed alike where they are there. Killed meanwhile, they have both
            names, so that no file is ever without its own.

    Returns:
        Its new path.
    """
    path = Path(path)
    digits = file_sha256(path)[:8]
    there = [file for file in map(Path, companions) if file.is_file()]
    for file in there:
        shutil.copy2(file, _aside(file, digits))
    os.replace(path, _aside(path, digits))
    for file in there:
        file.unlink()
    return _aside(path, digits)


def _aside(path: Path, digits: str) -> Path:
    return path.with_name(f"{path.stem}.{digits}{path.suffix}")
