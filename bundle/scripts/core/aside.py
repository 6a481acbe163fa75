"""Files that cannot serve any more are put aside under another name, never deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .digest import file_sha256

__all__ = ["put_aside"]


def put_aside(path: str | Path, companions: Sequence[str | Path] = ()) -> Path:
    """Rename ``last.pt`` to ``last.<8 hexadecimal digits>.pt``, by its content, so that the same file gets the same name.

    Args:
        path: file that is there.
        companions: files beside it that belong to it, renamed alike where they are there.

    Returns:
        Its new path.
    """
    path = Path(path)
    digits = file_sha256(path)[:8]
    for file in [*map(Path, companions), path]:
        if file.is_file():
            os.replace(file, _aside(file, digits))
    return _aside(path, digits)


def _aside(path: Path, digits: str) -> Path:
    return path.with_name(f"{path.stem}.{digits}{path.suffix}")
