"""Errors as a user of the command line reads them: the message that says what is wrong, not the way it came."""

from __future__ import annotations

import os
import sys
from types import TracebackType

__all__ = ["install", "root_cause"]

#: Set to see whole tracebacks.
VARIABLE = "TISSUE_TRACEBACK"


def root_cause(error: BaseException) -> BaseException:
    """The error inside the ``Failed to evaluate`` errors that MONAI wraps around each level of a configuration."""
    while isinstance(error, RuntimeError) and "Failed to " in str(error)[:40] and error.__cause__ is not None:
        error = error.__cause__
    return error


def install() -> None:
    """Let ``python -m monai.bundle run`` end with one message for files and values that do not fit.

    Other errors, which are this program's own, keep their traceback; so does everything if ``TISSUE_TRACEBACK`` is set.
    """
    if os.environ.get(VARIABLE) or not sys.argv or not sys.argv[0].endswith(os.path.join("bundle", "__main__.py")):
        return
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = root_cause(error)
        if isinstance(cause, (OSError, ValueError)) and str(cause):
            print(f"error: {cause}\n(set {VARIABLE}=1 for the traceback)", file=sys.stderr)
        else:
            before(kind, error, traceback)

    sys.excepthook = hook
