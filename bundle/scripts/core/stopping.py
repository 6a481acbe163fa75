"""SIGTERM and Ctrl-C: one line that says where the work was stopped, an exit code that scripts know, nothing left behind."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Stopped", "exit_code", "install_stopping", "working"]

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
# what is being done, the innermost last
_works: list[Callable[[], str]] = []
_signalled: list[int] = []
# whether it was said that the work was stopped
_said: list[bool] = []
# signals that were held before each fork that is going on
_masks: list[set[signal.Signals]] = []


class Stopped(SystemExit):
    """Ends the program with 128 + the number of the signal; unlike after a kill, every block is left in order."""


@contextmanager
def working(describe: Callable[[], str]) -> Iterator[None]:
    """Say what is done in a block, should it be stopped.

    Args:
        describe: gives it in words that follow "stopped by SIGTERM in ".
    """
    _works.append(describe)
    try:
        yield
    finally:
        if describe in _works:
            _works.remove(describe)


def exit_code() -> int | None:
    """The exit code that a signal asks for, once one has come."""
    return 128 + _signalled[0] if _signalled else None


def install_stopping() -> None:
    """Let SIGTERM and Ctrl-C end this process in order, and its forked helpers with it. Ignored signals stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_leave_to_parent)
    sys.unraisablehook = _again_if_lost(sys.unraisablehook)
    threading.excepthook = _quiet_once_stopped(threading.excepthook)
    atexit.register(_leave)


def _stop(number: int, _frame: FrameType | None) -> None:
    if _signalled:  # whoever asks twice does not want to wait
        os._exit(128 + number)
    _signalled.append(number)
    if not _said:
        _said.append(True)
        _say(number)
    raise Stopped(128 + number)


def _say(number: int) -> None:
    where = f" in {_works[-1]()}; the same command continues" if _works else ""
    start = "\n" if sys.stderr.isatty() else ""  # there may be a progress bar
    # not print, which may be what was interrupted
    os.write(2, f"{start}stopped by {_NAMES[number]}{where}\n".encode())


def _leave() -> None:
    """End a stopped process at once, when everything else that was to be done at its end is: to take down what was imported
    takes Python seconds."""
    if _signalled:
        for child in multiprocessing.active_children():
            child.terminate()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(128 + _signalled[0])


def _hold_signals() -> None:
    """Let signals wait while a process is forked, so that none comes to a child that still has its parent's handlers."""
    _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _NAMES))


def _release_signals() -> None:
    if _masks:
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _leave_to_parent() -> None:
    """In a forked process, such as a data loader's worker: its parent ends it."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.getsignal(signal.SIGTERM) is _stop:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _works.clear()
    _release_signals()


def _again_if_lost(before: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Hook for errors that Python passes over, as in destructors: a stop that comes there is repeated."""

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, Stopped):
            threading.Timer(0.05, _repeat).start()
        elif not _signalled:
            before(unraisable)

    return hook


def _quiet_once_stopped(before: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Hook for errors of threads: what a stop has made of them, such as queues that are closed while they work, is none."""

    def hook(details: Any) -> None:
        if not _signalled:
            before(details)

    return hook


def _repeat() -> None:
    number = _signalled.pop()
    os.kill(os.getpid(), number)
