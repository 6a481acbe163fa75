"""Folders of a run, held by one process at a time."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..core.lock import locked

__all__ = ["LOCK", "hold", "holding"]

#: File of the lock in a folder of a run, or of its weights.
LOCK = ".lock"


@contextmanager
def holding(output_dir: str | Path, work: str, others: Sequence[str | Path] = ()) -> Iterator[None]:
    """Lock the folder of a run, and the other folders that are written to: those of one run may lie in that of another.

    Args:
        output_dir: folder of the run.
        work: what is done, for the message that others get.
        others: folders of weights, of pseudo masks.

    Raises:
        BlockingIOError: another process holds one of them; the message names it.
        PermissionError: a folder cannot be written.
    """
    with ExitStack() as stack:
        for folder in map(Path, dict.fromkeys([str(output_dir), *map(str, others)])):
            stack.enter_context(locked(folder / LOCK, work))
        yield


def hold(output_dir: str | Path, work: str) -> None:
    """Lock the folder of a run until the process ends: for a configuration whose steps are more than one stage.

    Raises:
        BlockingIOError: another process holds it.
    """
    stack = ExitStack()
    stack.enter_context(holding(output_dir, work))
    atexit.register(stack.close)
