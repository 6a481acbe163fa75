"""A zip whose bytes depend on its content alone, with the SHA-256 of each file in it."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ..core.atomic import atomic_path
from ..core.digest import file_sha256

__all__ = ["SUMS", "Content", "write_zip"]

#: File of the digests, as ``sha256sum -c`` reads it.
SUMS = "SHA256SUMS"

#: Files of a zip by their paths in it: their bytes, or the file that they are copied from.
Content = Mapping[str, "bytes | Path"]

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_MODE = 0o644 << 16


def write_zip(path: str | Path, folder: str, content: Content) -> Path:
    """Write files into one folder of a zip, by their names, and their digests. The same files give the same bytes.

    Nothing is compressed: weights hardly can be, and what is compressed depends on the library that does it.

    Args:
        path: the zip.
        folder: name of the one folder in it.
        content: the files.

    Returns:
        ``path``.

    Raises:
        ValueError: a zip of this name is there, with other content.
        OSError: it cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            sums = [f"{digest(source)}  {name}\n" for name, source in sorted(content.items())]
            for name, source in sorted([*content.items(), (SUMS, "".join(sums).encode())]):
                _add(archive, f"{folder}/{name}", source)
        if path.is_file() and file_sha256(path) != file_sha256(temporary):
            raise ValueError(
                f"{path}: is there already, with other content; give this one another version, or move that one away"
            )
    return path


def digest(source: bytes | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else file_sha256(source)


def _add(archive: zipfile.ZipFile, name: str, source: bytes | Path) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr, info.create_system = _MODE, 3  # as on Unix, wherever it is made
    info.file_size = len(source) if isinstance(source, bytes) else source.stat().st_size
    with archive.open(info, "w") as target:
        if isinstance(source, bytes):
            target.write(source)
        else:
            with source.open("rb") as file:
                shutil.copyfileobj(file, target, 2**20)
