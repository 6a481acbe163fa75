"""MLflow's SQLite file in a run folder: made whole or not at all, put aside if damaged, and at home wherever it lies."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from ..core.lock import locked

__all__ = ["artifact_root", "prepare_store", "sqlite_uri", "store_file"]

# what belongs to a SQLite file; its journals first, as one beside a new file would be played back into that
_PARTS = ("-journal", "-wal", "-shm", "")
# s: for another's write, and for another's making of the file, which takes seconds and on a busy machine many
_WRITE_PATIENCE, _MAKING_PATIENCE = 5.0, 120.0
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def sqlite_uri(path: str | Path) -> str:
    """URI of a SQLite file for MLflow, which takes all but ``%`` and ``?`` as they are."""
    text = Path(path).absolute().as_posix()
    return f"sqlite:///{text.replace('%', '%25').replace('?', '%3F')}"


def artifact_root(path: str | Path) -> str:
    """URI of the folder of artifacts beside a store."""
    return (Path(path).absolute().parent / "mlruns").as_uri()


def store_file(uri: str) -> Path | None:
    """The SQLite file that a tracking URI names; ``None`` for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    url = make_url(uri)
    return Path(url.database).absolute() if url.database and not url.query and url.database != ":memory:" else None


def prepare_store(path: str | Path, own: bool = True) -> Path | None:
    """Make the store if there is none, and see that it can be written and that its artifacts lie beside it.

    It is made under another name and renamed; what a process that was killed meanwhile has left is removed.

    Args:
        path: SQLite file.
        own: whether it is the run folder's own: one that is damaged, or was left half made by an earlier version, is then
            renamed and made anew, and one that was moved or copied with its folder finds its artifacts.

    Returns:
        The new name of a store that was damaged; else ``None``.

    Raises:
        sqlite3.DatabaseError: it is locked by another program, cannot be written, or is damaged and not the run folder's.
        TimeoutError: another process has been making it for minutes.
        OSError: its folder cannot be written.
    """
    path = Path(path).absolute()
    aside = None
    with _alone(path.with_name(f".{path.name}.lock")):
        for left in path.parent.glob(f"{_making(path)}*"):
            left.unlink(missing_ok=True)
        if path.exists() and not _is_whole(path):
            if not own:
                raise sqlite3.DatabaseError(f"{path} is damaged or half made")
            aside = _put_aside(path)
        if not path.exists():
            _make(path)
        if own:
            _settle(path)
    return aside


def _is_whole(path: Path) -> bool:
    """Whether a file is a store that was finished; MLflow itself would wait four times as long, and try to complete it."""
    with closing(sqlite3.connect(path, timeout=_WRITE_PATIENCE, isolation_level=None)) as store:
        try:
            store.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # locked, read-only
            raise
        except sqlite3.DatabaseError:
            return False
        try:
            sound = store.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            # the last that MLflow writes when it makes one is the first experiment
            return sound and all(
                store.execute(f"SELECT 1 FROM {table}").fetchone() for table in ("alembic_version", "experiments")
            )
        except (sqlite3.DatabaseError, ValueError):  # ValueError: text that is none
            return False


def _put_aside(path: Path) -> Path:
    """Rename a store to a name that is free."""
    number = 1
    while (aside := path.with_name(f"{path.stem}-damaged-{number}{path.suffix}")).exists():
        number += 1
    for part in _PARTS:
        if (old := path.with_name(path.name + part)).exists():
            old.rename(aside.with_name(aside.name + part))
    return aside


def _making(path: Path) -> str:
    return f".{path.stem}-making-"


def _make(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f"{_making(path)}{os.getpid()}.db")
    store = SqlAlchemyStore(sqlite_uri(making), artifact_root(path))
    store._dispose_engine()
    SqlAlchemyStore._engine_map.pop(sqlite_uri(making), None)  # MLflow keeps one for each file it has seen
    for part in _PARTS[:-1]:
        path.with_name(path.name + part).unlink(missing_ok=True)  # of a store that somebody has deleted
    making.rename(path)


def _settle(path: Path) -> None:
    """Let the artifacts of a store that was moved or copied with its folder lie beside it; MLflow writes whole paths."""
    here = artifact_root(path)
    with closing(sqlite3.connect(path, timeout=_WRITE_PATIENCE)) as store, store:
        for table, column in _PLACES:
            for row, place in store.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                found = re.fullmatch(r"(?:file:|/|[A-Za-z]:[/\\]).*[/\\]mlruns((?:/.*)?)", place or "")
                if found and place != here + found[1]:
                    store.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (here + found[1], row))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock, once others have let it go."""
    until = time.monotonic() + _MAKING_PATIENCE
    while True:
        held = locked(lock, "making MLflow's store")
        try:
            held.__enter__()
            break
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise TimeoutError(str(error)) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        held.__exit__(None, None, None)
