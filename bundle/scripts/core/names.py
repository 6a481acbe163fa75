"""Names of outputs: a file's stem, and as much of its path as it takes to tell it from the others."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .images import suffix

__all__ = ["printable", "pseudo_mask_paths", "unique_names"]

_LONGEST = 200  # bytes of a name: systems allow 255, and it gets an ending


def printable(text: str | Path) -> str:
    """A path, or a message that names one, as text that every file and terminal can hold.

    Bytes of a file name that are not UTF-8, which Python keeps as surrogates, become ``%E9``.
    """
    return re.sub("[\ud800-\udfff]", lambda c: f"%{ord(c[0]) & 0xFF:02X}", str(text))


def unique_names(paths: Sequence[str | Path]) -> list[str]:
    """A different name for every path, in their order, without slashes.

    A name is the file's stem; where two share one, with the suffix; where that does not tell them apart, with one more
    parent folder after the other (``case1_img_001_png``); at last, for one and the same path, with a number. Bytes that are
    not UTF-8 are written as :func:`printable` writes them; of a name of more than 200 bytes the end is replaced by a digest.
    """
    files = [Path(printable(p)) for p in paths]
    parts = [[*p.parts[:-1], p.name.replace(".", "_")] for p in files]
    names = [_short(p.name[: len(p.name) - len(suffix(p))] or p.name) for p in files]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        counts = Counter(names)
        if len(counts) == len(names):
            return names
        names = [n if counts[n] == 1 else _joined(p[-depth:]) for n, p in zip(names, parts, strict=True)]
    taken: set[str] = set()
    for index, name in enumerate(names):
        number = 1
        while names[index] in taken:
            number += 1
            names[index] = f"{name}_{number}"
        taken.add(names[index])
    return names


def pseudo_mask_paths(folder: str | Path, layers: Sequence[str], name: str) -> list[str]:
    """Files of the pseudo masks of one patch, one per layer: ``<folder>/<layer>/<name>.png``."""
    return [str(Path(folder) / layer / f"{name}.png") for layer in layers]


def _joined(parts: Sequence[str]) -> str:
    return _short("_".join(part.strip("/\\:") for part in parts if part.strip("/\\:")))


def _short(name: str) -> str:
    content = name.encode()
    if len(content) <= _LONGEST:
        return name
    digest = hashlib.sha256(content).hexdigest()[:12]
    return f"{content[: _LONGEST - 13].decode(errors='ignore')}_{digest}"
