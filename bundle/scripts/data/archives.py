"""Unpacking of archives that are not trusted."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..core.atomic import write_text
from ..core.digest import file_sha256
from ..core.image_files import is_hidden
from ..core.images import IMAGE_SUFFIXES, suffix

__all__ = ["discard_unpacking", "is_archive", "unpack"]

#: Most bytes and files that an archive may unpack to.
MAX_BYTES = 200 * 2**30
MAX_FILES = 2_000_000
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_TABLES = (".csv", ".json")
# in the unpacked folder: SHA-256 of the archive, by which another archive of the same name is seen
_RECORD = ".archive.sha256"
# a part of a path, in bytes, as file systems take it
_MAX_NAME = 255
# most that is read at once: headers of a tar are of any size that they say
_MAX_READ = 64 * 2**20


@dataclass(frozen=True)
class _Member:
    """One file or folder of an archive: how it opens is told by the archive's kind."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], IO[bytes]]


def is_archive(path: str | Path) -> bool:
    """Whether the name is that of an archive that :func:`unpack` takes."""
    return str(path).lower().endswith(_SUFFIXES) and not Path(path).is_dir()


def discard_unpacking(target: str | Path) -> None:
    """Remove what processes that were killed while they unpacked to ``target`` have left. None may be unpacking now."""
    target = Path(target)
    prefix = _prefix(target)
    for left in target.parent.iterdir() if target.parent.is_dir() else ():
        if left.name.startswith(prefix):
            shutil.rmtree(left, ignore_errors=True)


def unpack(archive: str | Path, target: str | Path, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> Path:
    """Unpack a zip or tar into ``target``, whole or not at all. One process at a time may unpack to it.

    Args:
        archive: ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz``.
        target: folder to make; one that was unpacked from an archive of this content is taken, of another replaced.
        max_bytes: most bytes that may be written.
        max_files: most files.

    Returns:
        ``target``; a single folder at the archive's top, beside which no image or table lies, is entered.

    Raises:
        FileNotFoundError: no such archive.
        FileExistsError: ``target`` holds something that was not unpacked from an archive.
        ValueError: a damaged or password-protected archive; a member that leaves the folder, is a link or device, stands
            twice or in the way of another, or has a name that is no file's; too much content, or no room for it.
    """
    archive, target = Path(archive), Path(target)
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such file")
    discard_unpacking(target)
    content = file_sha256(archive)
    if not _is_unpacked(archive, target, content):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        try:
            with _reading(archive), _members(archive) as members:
                found = _checked(archive, members(), max_bytes, max_files, shutil.disk_usage(temporary).free)
                for member, path in found:
                    _write(archive, member, temporary / path)
            write_text(temporary / _RECORD, content + "\n")
            temporary.chmod(0o755)  # mkdtemp's are private
            if target.is_dir():
                os.replace(target, temporary / f"{_RECORD}-before")
            os.replace(temporary, target)
            shutil.rmtree(target / f"{_RECORD}-before", ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    there = [p for p in target.iterdir() if not is_hidden(p)]
    folders = [p for p in there if p.is_dir()]
    bare = not any(suffix(p) in (*IMAGE_SUFFIXES, *_TABLES) for p in there if not p.is_dir())
    return folders[0] if len(folders) == 1 and bare else target


def _prefix(target: Path) -> str:
    return f".{target.name}-unpacking-"


def _is_unpacked(archive: Path, target: Path, content: str) -> bool:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    try:
        return (target / _RECORD).read_text(encoding="utf-8").strip() == content
    except (FileNotFoundError, NotADirectoryError):
        raise FileExistsError(
            f"{target}: there already, and not known to be unpacked from an archive; {archive.name} is to be unpacked to "
            "it: move it away, or name it as the source"
        ) from None


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Whatever the decoders raise on an archive that is not what it seems, as one error that names it."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{archive}: damaged archive, or no room for it ({error.strerror or error})") from error
    except Exception as error:  # of zipfile, tarfile, zlib, lzma, struct, ...
        if isinstance(error, ValueError) and str(error).startswith(f"{archive}: "):
            raise
        raise ValueError(f"{archive}: damaged archive ({str(error)[:200] or type(error).__name__})") from error


@contextmanager
def _members(archive: Path) -> Iterator[Callable[[], Iterator[_Member]]]:
    """Open an archive; what is given lists its members."""
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as source:
            yield lambda: _zip_members(archive, source)
    else:
        with archive.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (
            gzip.open(archive) if packed else archive.open("rb") as content,
            tarfile.open(fileobj=_Bounded(content), mode="r:") as source,
        ):
            yield lambda: _tar_members(archive, source)


def _zip_members(archive: Path, source: zipfile.ZipFile) -> Iterator[_Member]:
    for info in source.infolist():
        if info.flag_bits & 1:
            raise ValueError(f"{archive}: protected by a password; unpack it yourself and name the folder as the source")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK or (info.create_system == 3 and kind not in (0, stat.S_IFREG, stat.S_IFDIR)):
            raise ValueError(f"{archive}: member {info.filename!r} is a link or device, expected files and folders")
        is_folder = info.is_dir() or (info.orig_filename.endswith("\\") and not info.file_size)
        yield _Member(info.orig_filename, info.file_size, is_folder, lambda info=info: source.open(info))


def _tar_members(archive: Path, source: tarfile.TarFile) -> Iterator[_Member]:
    for info in source:
        if not (info.isfile() or info.isdir()) or info.issparse():
            raise ValueError(f"{archive}: member {info.name!r} is a link, device or sparse, expected files and folders")
        yield _Member(info.name, info.size, info.isdir(), lambda info=info: source.extractfile(info))
    source.fileobj.seek(source.offset)
    if source.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # a bad header ends tarfile's list in silence
        raise tarfile.ReadError(f"no header and no end at byte {source.offset}")
    if len(source.fileobj.read(_MAX_READ)) == _MAX_READ:  # to the end, where gzip compares its checksum
        raise tarfile.ReadError(f"more than {_MAX_READ} bytes behind its end")


class _Bounded:
    """A file of which no more is read at once than fits in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self.file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def _checked(
    archive: Path, members: Iterator[_Member], max_bytes: int, max_files: int, room: int
) -> list[tuple[_Member, Path]]:
    """Members and the paths that they unpack to, seen to be safe all together before anything is written."""
    found: list[tuple[_Member, Path]] = []
    total, named, folders = 0, {}, {}
    for count, member in enumerate(members, start=1):
        path = _path(archive, member.name)
        if member.size < 0:
            raise ValueError(f"{archive}: member {member.name!r} has a size of {member.size} bytes")
        total += member.size
        if total > max_bytes or count > max_files:
            raise ValueError(
                f"{archive}: found {count} members or more of {total} bytes, expected at most {max_files} of {max_bytes}"
            )
        # as file systems that take upper and lower case for the same see it
        key = unicodedata.normalize("NFC", str(path)).casefold()
        if not member.is_folder:
            if key in named:
                raise ValueError(f"{archive}: members {named[key]!r} and {member.name!r} have the same place")
            named[key] = member.name
        parts = Path(key).parts if member.is_folder else Path(key).parts[:-1]
        folders.update({"/".join(parts[: k + 1]): member.name for k in range(len(parts))})
        found.append((member, path))
    if not named:
        raise ValueError(f"{archive}: holds no file")
    clash = sorted(named.keys() & folders.keys())
    if clash:
        raise ValueError(f"{archive}: member {named[clash[0]]!r} is a file where {folders[clash[0]]!r} needs a folder")
    if total > room:
        raise ValueError(f"{archive}: unpacks to {total} bytes, {room} are free; make room, or unpack it elsewhere yourself")
    return found


def _path(archive: Path, name: str) -> Path:
    """Path of a member below the folder that is unpacked to."""
    path = Path(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"{archive}: member {name!r} leaves the folder")
    if "\0" in name or any(len(os.fsencode(part)) > _MAX_NAME for part in path.parts):
        raise ValueError(f"{archive}: member {name!r:.80} has a name that no file can have")
    if path.parts[:1] and path.parts[0].startswith(_RECORD):
        raise ValueError(f"{archive}: member {name!r} has a name that is kept for the archive's record")
    return path


def _write(archive: Path, member: _Member, path: Path) -> None:
    if member.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 2**20)
        written = file.tell()
    if written != member.size:
        raise ValueError(f"{archive}: member {member.name!r} holds {written} bytes, its header says {member.size}")
