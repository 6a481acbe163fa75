"""One process at a time works in a folder: a lock that says who has it, and that its holder's end releases."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None

__all__ = ["locked"]

logger = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
# locks of this process: how often it holds each, as a pipeline's stages work in the folder that the pipeline has locked, and
# the descriptor of its file
_held: dict[Path, int] = {}
_handles: dict[Path, int] = {}


def _forget() -> None:
    """In a forked process, such as a data loader's worker: let the lock end with its holder, not with this process."""
    for handle in _handles.values():
        os.close(handle)
    _handles.clear()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def locked(path: str | Path, work: str) -> Iterator[None]:
    """Hold a lock file while the block runs; what a process that was killed held is free again at once.

    The operating system's lock on the file counts, not its presence: a file that a killed process left is taken over, on
    another host too where the file system knows locks. Where it does not, a warning says so and nothing is locked. A
    process may take a lock that it holds already. The file holds host, process, work and time, and goes with the lock.

    Args:
        path: lock file; its folder is made.
        work: what is done under it, for the message that others get.

    Raises:
        BlockingIOError: another process holds the lock; the message names it.
        PermissionError: the file cannot be written.
    """
    path = Path(os.path.realpath(path))  # a folder may have several names
    if path not in _held:
        handle = _acquire(path, work)
        if handle is not None:
            _handles[path] = handle
    _held[path] = _held.get(path, 0) + 1
    try:
        yield
    finally:
        _release(path)


def _release(path: Path) -> None:
    """Give one of the holds of a lock back, and the lock with the last, in whatever order they are given back."""
    if path not in _held:
        return
    _held[path] -= 1
    if _held[path]:
        return
    del _held[path]
    if path in _handles:
        with suppress(OSError):
            path.unlink()  # before it is released, so that nobody takes a file that is about to go
        os.close(_handles.pop(path))


def _acquire(path: Path, work: str) -> int | None:
    """Descriptor of the locked file; ``None`` where files cannot be locked."""
    if fcntl is None:
        return None
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise PermissionError(f"cannot write to {path.parent}: {error.strerror}; choose another folder") from error
        try:
            # not lockf, which is lost when this process closes the file after reading it
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 4096, 0)
            os.close(handle)
            if error.errno in _UNSUPPORTED:
                logger.warning("%s: this file system has no locks; let nothing else work in the folder", path)
                return None
            raise BlockingIOError(_message(path, holder)) from None
        with suppress(OSError):
            if os.stat(path).st_ino == os.fstat(handle).st_ino:  # not one that its holder has removed meanwhile
                break
        os.close(handle)
    content = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "work": work,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(content).encode(), 0)
    return handle


def _message(path: Path, holder: bytes) -> str:
    try:
        found = json.loads(holder)
        who = f"{found['work']} (process {found['process']} on {found['host']}, since {found['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return f"{path.parent}: in use by {who}, by the lock {path.name}; wait for its end, or choose another folder"
