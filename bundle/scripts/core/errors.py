"""Errors as a user of the command line reads them: the message that says what is wrong, not the way it came."""

from __future__ import annotations

import atexit
import errno
import multiprocessing
import os
import sys
import time
import traceback as formatted
from contextlib import suppress
from types import TracebackType

import torch

from .log import current_log, install_console
from .stopping import exit_code, install_stopping

__all__ = ["install", "message", "root_cause"]

#: Set to see whole tracebacks.
VARIABLE = "TISSUE_TRACEBACK"

_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


def root_cause(error: BaseException) -> BaseException:
    """The error inside the ``Failed to evaluate`` errors that MONAI wraps around each level of a configuration."""
    while isinstance(error, RuntimeError) and "Failed to " in str(error)[:40] and error.__cause__ is not None:
        error = error.__cause__
    return error


def message(error: BaseException) -> str | None:
    """What to tell a user of an error that files, settings or the machine are the cause of; ``None`` of any other, which is
    this program's own fault."""
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)
    ):
        reason = text.splitlines()[0] if text else "a piece of it could not be had"
        return f"out of memory ({reason}): set a smaller batch_size, cache_num or num_workers"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}the disk is full ({error.strerror}); free some space, and the same command continues"
    if isinstance(error, OSError) and error.errno and error.filename and text.startswith("[Errno"):
        return f"{error.filename}: {error.strerror}"
    return text if isinstance(error, (OSError, ValueError)) and text else None


def install() -> None:
    """Let ``python -m monai.bundle run`` end with one message for files and values that do not fit, and for signals; let its
    console say what people want to know.

    Other errors, which are this program's own, leave their traceback in the log of the stage, or on the console where there
    is none; there it all is if ``TISSUE_TRACEBACK`` is set.
    """
    main = bool(sys.argv) and sys.argv[0].endswith(os.path.join("bundle", "__main__.py"))
    if not main or multiprocessing.parent_process() is not None:
        return
    install_console()
    install_stopping()
    if not os.environ.get(VARIABLE):
        sys.excepthook = _hook(sys.excepthook)


def _hook(before):
    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = root_cause(error)
        if "DataLoader worker" in str(cause):
            with suppress(SystemExit):
                time.sleep(0.3)  # a signal to all processes may reach its worker first
        if exit_code() is not None:  # what a stop has made of others is no error
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(exit_code())
        said = message(cause)
        log = current_log()
        if said is None and log is None:
            before(kind, error, traceback)
            return
        if log is not None:
            with suppress(OSError), log.open("a", encoding="utf-8") as file:
                file.write("".join(formatted.format_exception(kind, error, traceback)))
        if said is None:
            said = f"{type(cause).__name__}: {cause} (a fault of this program, or of a file of your own)"
        place = f"set {VARIABLE}=1 for the traceback" if log is None else f"traceback in {log}"
        print(f"error: {said}\n({place})", file=sys.stderr)

    return hook
