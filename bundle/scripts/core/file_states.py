"""What files hold, as one digest; files that have not changed since are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from .atomic import write_json
from .digest import file_sha256
from .raw_files import data_file

__all__ = ["FileStates"]

# a file that was written this shortly before it was read may change again within the resolution of its time
_SETTLED_NS = 2_000_000_000


class FileStates:
    """SHA-256 of files, kept in an index by their size and times, that of the last change among them, which no program sets.

    An image whose file is a header alone counts with the file that holds its pixels.

    The index only saves time: without it, or with a damaged one, files are read again, to the same digest. Times themselves
    are not part of a digest, nor are folders, so that a copy of the files has the digest of the originals.

    Args:
        index: JSON file ``{path: [bytes, ns, ns, sha256]}``; ``None``: nothing is kept.
    """

    def __init__(self, index: str | Path | None = None) -> None:
        self.index = None if index is None else Path(index)
        self._known = self._read()

    def digest(self, files: Iterable[str | Path], base: str | Path | None = None, progress: bool = False) -> str:
        """SHA-256, in hexadecimal, over the content of files in their order; an absent one counts as such.

        Args:
            files: the files.
            base: folder; names relative to it are covered too.
            progress: whether to show a progress bar.
        """
        paths = [Path(p) for p in files]
        digest = hashlib.sha256()
        contents, read = self.contents(paths, progress)
        if read and self.index is not None and self.index.parent.is_dir():  # to look makes no folder
            self.save()
        for path, content in zip(paths, contents, strict=True):
            name = "" if base is None else path.relative_to(base).as_posix()
            digest.update(json.dumps([name, content]).encode())
        return digest.hexdigest()

    def contents(self, paths: Sequence[Path], progress: bool = False) -> tuple[list[str], int]:
        """SHA-256 of each file, ``"absent"`` for one that is not there, and how many were read; nothing is saved."""
        pixels = {p: data for p in dict.fromkeys(paths) if (data := data_file(p)) is not None}
        changed = [p for p in dict.fromkeys([*paths, *pixels.values()]) if p.is_file() and not self._is_known(p)]
        with ThreadPoolExecutor(4) as pool:  # hashing leaves the interpreter to others
            bar = tqdm(changed, desc="read files", disable=not progress or len(changed) < 100, leave=False)
            found = dict(zip(bar, pool.map(self._read_file, changed), strict=True))

        def content(path: Path) -> str:
            own = found.get(path) or (self._known[str(path.absolute())][3] if path.is_file() else "absent")
            return f"{own} {content(pixels[path])}" if path in pixels else own

        return [content(p) for p in paths], len(changed)

    def save(self, index: str | Path | None = None) -> None:
        """Write the index to its place, or to another."""
        index = index or self.index
        if index is not None:
            write_json(index, self._known)

    def _is_known(self, path: Path) -> bool:
        return self._known.get(str(path.absolute()), [None])[:3] == _state(path.stat())

    def _read_file(self, path: Path) -> str:
        stat = path.stat()
        content = file_sha256(path)
        if time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
            self._known[str(path.absolute())] = [*_state(stat), content]
        return content

    def _read(self) -> dict[str, list]:
        try:
            content = json.loads(self.index.read_text(encoding="utf-8")) if self.index else {}
        except (OSError, ValueError, RecursionError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {k: v for k, v in entries if isinstance(v, list) and len(v) == 4 and isinstance(v[3], str)}


def _state(stat: os.stat_result) -> list[int]:
    """Size and times: a copying or packing program may set that of modification, none that of the change itself."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
