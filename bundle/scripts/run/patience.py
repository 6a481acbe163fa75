"""What may fail, or never answer, without a run being the worse for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

__all__ = ["Patience"]


class Patience:
    """Makes calls in order in a thread of its own, until one fails or is waited for too long; from then on none.

    Args:
        give_up: called once, with what a call raised or with a :class:`TimeoutError`.
        limit: s that :meth:`wait` waits.
    """

    def __init__(self, give_up: Callable[[BaseException], None], limit: float) -> None:
        self.limit = limit
        self.lost = False
        self._give_up = give_up
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        # a daemon: a call that hangs must not keep the process from its end. It is there from the start, as none can be
        # started while the process ends
        threading.Thread(target=self._work, name="patience", daemon=True).start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let a call be made after those before."""
        self._calls.put(lambda: self.lost or function(*arguments))

    def wait(self, limit: float | None = None) -> bool:
        """Wait until all calls have been made, and say whether they were; after ``limit`` s lose patience."""
        limit = self.limit if limit is None else limit
        done = threading.Event()
        self._calls.put(done.set)
        if not self.lost and not done.wait(limit):
            self.lose(TimeoutError(f"not done within {limit:g} s"))
        return not self.lost

    def lose(self, error: BaseException) -> None:
        """Make no more calls."""
        with self._lock:
            lost, self.lost = self.lost, True
        if not lost:
            self._give_up(error)

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            try:
                call()
            except BaseException as error:  # whatever it is, it stays here
                self.lose(error)
