"""The log: on the console what people want to know, in a file of each stage everything that libraries say besides."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

__all__ = ["LOG", "current_log", "install_console", "logged_to"]

#: File of the log in a stage's folder.
LOG = "log.txt"

# libraries that tell of their own workings; they raise what matters
_LIBRARIES = ("monai", "ignite", "mlflow", "alembic", "sqlalchemy", "py.warnings", "torch", "nibabel", "PIL", "distributed")
_FORMAT = "%(asctime)s %(name)s %(levelname)s: %(message)s"
_logs: list[Path] = []


def install_console() -> None:
    """Let the console of ``logging.conf`` say what people want to know, and nothing of the libraries' own."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.name == "people" and not isinstance(h, _Console)]:
        console = _Console(handler.stream)
        console.set_name("people")
        console.setLevel(handler.level)
        root.removeHandler(handler)
        root.addHandler(console)
        logging.captureWarnings(True)
        _pass_on()


@contextmanager
def logged_to(path: str | Path, everything: bool = True) -> Iterator[None]:
    """Append the log of a block to a file.

    Args:
        path: text file.
        everything: what libraries say too; else what the console shows.
    """
    path = Path(path)
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.setLevel(logging.INFO)
    if not everything:
        handler.addFilter(_for_people)
    _pass_on()
    logging.getLogger().addHandler(handler)
    _logs.append(path)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):
            handler.close()
        if path in _logs:
            _logs.remove(path)


def current_log() -> Path | None:
    """The file that the innermost block logs to."""
    return _logs[-1] if _logs else None


def _for_people(record: logging.LogRecord) -> bool:
    if record.name.split(".")[0] == "scripts":
        return True
    return record.levelno >= logging.WARNING and not _is_library(record.name)


def _is_library(name: str) -> bool:
    return name.startswith(_LIBRARIES) or name.endswith("Handler")  # MONAI's handlers log under their own names


def _pass_on() -> None:
    """Let libraries that write to the console by handlers of their own pass their messages on, where we have the console."""
    if not any(isinstance(h, _Console) for h in logging.getLogger().handlers):
        return
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and _is_library(name):
            logger.handlers.clear()
            logger.propagate = True


class _LogFile(logging.FileHandler):
    """What cannot be written, as on a full disk, is left out: the work itself says what is wrong, or needs no log."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class _Console(logging.StreamHandler):
    """Time and message, above a progress bar if there is one; gone on without where nobody reads any more."""

    def __init__(self, stream) -> None:
        super().__init__(stream)
        self.setFormatter(_PeopleFormatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        self.addFilter(_for_people)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=self.stream)
            self.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception:
            self.handleError(record)


class _PeopleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return text.replace("  ", f"  {record.levelname.lower()}: ", 1)
