from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from contextlib import closing
from typing import ClassVar

import mlflow
import numpy as np
import pytest
import sqlalchemy
from mlflow.store.tracking.dbmodels.initial_models import Base
from scripts.run import tracking_store
from scripts.run.tracking_store import prepare_store, sqlite_uri, store_file

# processes that have MLflow imported already
fork = multiprocessing.get_context("fork")


@pytest.fixture
def copies(new_store, monkeypatch):
    """MLflow takes no seconds to make a store."""

    class Store:
        _engine_map: ClassVar = {}

        def __init__(self, uri, root):
            store_file(uri).write_bytes(new_store)

        def _dispose_engine(self):
            pass

    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", Store)


def _experiment(path):
    return mlflow.MlflowClient(sqlite_uri(path)).get_experiment("0")


def test_a_store_is_made_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a b#ü" / "mlruns.db"  # MLflow's own way leads to a%20b%23%C3%BC
    assert prepare_store(path) is None
    assert [p.name for p in tmp_path.rglob("*")] == ["a b#ü", "mlruns.db"]
    assert _experiment(path).artifact_location == (path.parent / "mlruns/0").as_uri()
    inode = path.stat().st_ino
    assert prepare_store(path) is None and path.stat().st_ino == inode


def test_killed_while_it_is_made(tmp_path):
    """At no moment is there a store that cannot be opened, and the next start leaves the store alone."""
    path, rng = tmp_path / "mlruns.db", np.random.default_rng(0)
    killed = 0
    while killed < 6:
        maker = fork.Process(target=prepare_store, args=(path,))
        maker.start()
        while not list(tmp_path.glob(".mlruns-making-*")) and maker.is_alive():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.6))
        os.kill(maker.pid, signal.SIGKILL)
        maker.join()
        killed += 1
        if path.exists():
            assert tracking_store._is_whole(path)
            path.unlink()
    assert prepare_store(path) is None
    assert [p.name for p in tmp_path.iterdir()] == ["mlruns.db"] and _experiment(path).name == "Default"


def test_of_two_at_once_the_second_takes_the_store_of_the_first(tmp_path):
    path = tmp_path / "mlruns.db"
    inodes = fork.Queue()

    def make():
        prepare_store(path)
        inodes.put(path.stat().st_ino)

    makers = [fork.Process(target=make) for _ in range(2)]
    for maker in makers:
        maker.start()
    assert inodes.get(timeout=120) == inodes.get(timeout=120) == path.stat().st_ino
    for maker in makers:
        maker.join()
    assert [p.name for p in tmp_path.iterdir()] == ["mlruns.db"]


def _half_made(path):
    """As MLflow leaves it that is killed before its migrations."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()


@pytest.mark.parametrize("damage", ["half made", "no tables", "empty", "noise", "cut", "torn"])
def test_a_damaged_store_is_renamed_and_made_anew(tmp_path, new_store, copies, damage, rng):
    path = tmp_path / "mlruns.db"
    torn = bytearray(new_store)
    torn[4096::997] = bytes(len(torn[4096::997]))
    if damage == "half made":
        _half_made(path)
    elif damage == "no tables":
        with closing(sqlite3.connect(path)) as store:
            store.execute("CREATE TABLE alembic_version (version_num)")
    else:
        path.write_bytes(
            {"empty": b"", "noise": rng.bytes(50_000), "cut": new_store[: len(new_store) // 2], "torn": torn}[damage]
        )
    before = path.read_bytes()
    (tmp_path / "mlruns-damaged-1.db").touch()
    assert prepare_store(path) == tmp_path / "mlruns-damaged-2.db"
    assert (tmp_path / "mlruns-damaged-2.db").read_bytes() == before
    assert path.read_bytes() != before and tracking_store._is_whole(path)


@pytest.mark.parametrize("content", [None, b"noise" * 1000])
def test_a_journal_of_sqlite_is_not_played_into_another_store(tmp_path, content, copies):
    """One of a store that was deleted, or is damaged."""
    path, journal = tmp_path / "mlruns.db", tmp_path / "mlruns.db-journal"
    if content:
        path.write_bytes(content)
    journal.write_bytes(b"of another")
    prepare_store(path)
    assert not journal.exists() and tracking_store._is_whole(path)


def test_a_damaged_store_elsewhere_is_left_as_it_is(tmp_path):
    path = tmp_path / "theirs.db"
    path.write_bytes(b"damaged" * 1000)
    with pytest.raises(sqlite3.DatabaseError, match=r"theirs\.db is damaged"):
        prepare_store(path, own=False)
    assert path.read_bytes() == b"damaged" * 1000


def test_a_locked_store_is_not_a_damaged_one(tmp_path, new_store, monkeypatch):
    monkeypatch.setattr(tracking_store, "_WRITE_PATIENCE", 0.1)
    path = tmp_path / "mlruns.db"
    path.write_bytes(new_store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            prepare_store(path)
    assert prepare_store(path) is None


def test_artifacts_of_a_moved_store_lie_beside_it_and_others_stay(tmp_path, new_store):
    path = tmp_path / "mlruns/run 1/mlruns.db"  # a name that occurs twice
    path.parent.mkdir(parents=True)
    path.write_bytes(new_store)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location) VALUES (7, 's', 's3://bucket/mlruns')"
        )
        store.execute("INSERT INTO runs (run_uuid, artifact_uri) VALUES ('r', '/old/mlruns/run/mlruns/r/artifacts')")
    prepare_store(path)
    with closing(sqlite3.connect(path)) as store:
        places = [p for (p,) in store.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id")]
        assert places == [f"{path.parent.as_uri()}/mlruns/0", "s3://bucket/mlruns"]
        assert store.execute("SELECT artifact_uri FROM runs").fetchall() == [(f"{path.parent.as_uri()}/mlruns/r/artifacts",)]


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////a%20b/c.db", "/a b/c.db"),
        ("sqlite:////a b/c.db", "/a b/c.db"),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("sqlite:////a.db?mode=ro", None),
        ("http://host/x.db", None),
    ],
)
def test_which_file_a_tracking_uri_names(uri, path):
    found = store_file(uri)
    assert (found and str(found)) == path
