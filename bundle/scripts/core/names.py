"""Names of outputs: a file's stem, and as much of its path as it takes to tell it from the others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .images import suffix
from .paths import shown

__all__ = ["VALIDATION", "pseudo_mask_paths", "unique_names"]

#: Folder, within that of the pseudo masks, of those of validation patches.
VALIDATION = "validation"

_LONGEST = 200  # bytes of a name: systems allow 255, and it gets an ending


def unique_names(paths: Sequence[str | Path]) -> list[str]:
    """A different name for every path, in their order, without slashes.

    A name is the file's stem; where two share one, with the suffix; where that does not tell them apart, with one more
    parent folder after the other (``case1_img_001_png``); at last, for one and the same path, with a number. What is
    no character of a text is escaped (:func:`~.paths.shown`); of a name of more than 200 bytes a digest is the end.
    """
    files = [Path(shown(p)) for p in paths]
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
