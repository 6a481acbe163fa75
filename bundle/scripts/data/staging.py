"""What a folder is to hold is made aside and then moved in: the old stays until the new is whole, whatever is killed."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.atomic import write_json

__all__ = ["made_aside", "recover"]

_PREPARING, _PREPARED, _REPLACED = ".preparing-", ".prepared-", ".replaced-"
# in a folder that is whole: names of the old that the new does not have
_GONE = ".gone"


@contextmanager
def made_aside(target: Path, old: Collection[str], first: str, last: str) -> Iterator[Path]:
    """Give a hidden folder to fill; what is in it goes into ``target`` if the block ends well.

    What was made before goes when the new is whole, nothing else of the target is touched. A process that is killed leaves
    either the old, or the new whole and hidden, which :func:`recover` moves in. One process at a time may do this.

    Args:
        target: folder, made if absent.
        old: names in it that were made before and are replaced.
        first: name that is taken away before all others, so that nobody reads old and new together.
        last: name that is moved in after all others.

    Raises:
        FileExistsError: the target holds something of a name that is made, which is not among ``old``.
    """
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREPARING, dir=target))
    try:
        yield folder
        if foreign := sorted(p.name for p in folder.iterdir() if p.name not in old and os.path.lexists(target / p.name)):
            raise FileExistsError(f"{target} holds {foreign[0]!r}, which prepare has not made; choose another target")
        whole = target / folder.name.replace(_PREPARING, _PREPARED)
        gone = sorted({*old} - {p.name for p in folder.iterdir()})
        write_json(folder / _GONE, gone)
        os.replace(folder, whole)
        _move_in(target, whole, first, last)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def recover(target: Path, first: str, last: str) -> None:
    """Finish what a killed process had made whole, and remove what it had not.

    Args:
        target: folder that :func:`made_aside` was filling.
        first: see there.
        last: see there.
    """
    for whole in sorted(target.glob(f"{_PREPARED}*")):
        if (whole / _GONE).is_file():  # else all of it is moved in, and it was being removed
            _move_in(target, whole, first, last)
        shutil.rmtree(whole, ignore_errors=True)
    beside = target.parent.glob(f".{glob.escape(target.name)}-preparing-*")  # by version 0.5 and before
    for left in [*target.glob(f"{_PREPARING}*"), *target.glob(f"{_REPLACED}*"), *beside]:
        shutil.rmtree(left, ignore_errors=True)


def _move_in(target: Path, whole: Path, first: str, last: str) -> None:
    """Move the old aside and the new in, in an order in which it can be interrupted and done again: what is still in
    ``whole`` has not been moved in, so the target's own of that name is the old one."""
    replaced = target / whole.name.replace(_PREPARED, _REPLACED)
    replaced.mkdir(exist_ok=True)
    gone = json.loads((whole / _GONE).read_text(encoding="utf-8"))
    names = sorted((p.name for p in whole.iterdir() if p.name != _GONE), key=lambda name: (name == last, name))
    for name in sorted({*names, *gone}, key=lambda name: (name != first, name)):
        if os.path.lexists(target / name):
            os.replace(target / name, replaced / name)
    for name in names:
        os.replace(whole / name, target / name)
    shutil.rmtree(whole)
    shutil.rmtree(replaced, ignore_errors=True)
