"""Unpacking of archives that are not trusted."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

__all__ = ["is_archive", "unpack"]

#: Most bytes and files that an archive may unpack to.
MAX_BYTES = 200 * 2**30
MAX_FILES = 2_000_000
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


def is_archive(path: str | Path) -> bool:
    """Whether the name is that of an archive that :func:`unpack` takes."""
    return str(path).lower().endswith(_SUFFIXES)


def unpack(archive: str | Path, target: str | Path, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Unpack a zip or tar into ``target``, whole or not at all.

    Args:
        archive: ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz``.
        target: folder to make; if it is there already, it is taken as unpacked.
        max_bytes: most bytes that may be written.
        max_files: most files.

    Returns:
        ``target``; a single folder at the archive's top is entered.

    Raises:
        FileNotFoundError: no such archive.
        ValueError: a damaged archive, a member that leaves the folder, a link or device, or too much content.
    """
    archive, target = Path(archive), Path(target)
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such file")
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-unpacking-", dir=target.parent))
        try:
            if archive.suffix.lower() == ".zip":
                _unpack_zip(archive, temporary, max_bytes, max_files)
            else:
                _unpack_tar(archive, temporary, max_bytes, max_files)
            temporary.chmod(0o755)
            os.replace(temporary, target)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise ValueError(f"{archive}: damaged archive, or no room for it ({error})") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    inner = [p for p in target.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else target


def _unpack_zip(archive: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    with zipfile.ZipFile(archive) as source:
        members = source.infolist()
        _check(archive, [(m.filename, m.file_size) for m in members], max_bytes, max_files)
        for member in members:
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise ValueError(f"{archive}: member {member.filename!r} is a link, expected files and folders")
            source.extract(member, folder)


def _unpack_tar(archive: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    with tarfile.open(archive) as source:
        members = source.getmembers()
        _check(archive, [(m.name, m.size) for m in members], max_bytes, max_files)
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive}: member {member.name!r} is a link or device, expected files and folders")
            member.mode = 0o755 if member.isdir() else 0o644
            source.extract(member, folder, set_attrs=False)


def _check(archive: Path, members: list[tuple[str, int]], max_bytes: int, max_files: int) -> None:
    for name, _ in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise ValueError(f"{archive}: member {name!r} leaves the folder")
    total = sum(size for _, size in members)
    if total > max_bytes or len(members) > max_files:
        raise ValueError(
            f"{archive}: found {len(members)} members of {total} bytes, expected at most {max_files} of {max_bytes}"
        )
