from __future__ import annotations

import json
import logging
import shutil
import socket
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import pytest
from ignite.engine import Engine, Events
from scripts.run import tracking
from scripts.run.journal import JOURNAL, read_journal
from scripts.run.mirror import Mirror
from scripts.run.stage import Stage
from scripts.run.track import track
from scripts.run.tracking import Tracker, tracking_uri

EXPERIMENT = "tissue-segmentation"


@pytest.fixture
def out(tmp_path, new_store):
    """Folder of a run, with its store."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mlruns.db").write_bytes(new_store)
    return tmp_path / "out"


def _client(out):
    return mlflow.MlflowClient(tracking_uri(out))


def _runs(out):
    client = _client(out)
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    runs = {run.data.tags.get("stage", run.info.run_name): run for run in found}
    assert len(runs) == len(found)  # none twice
    return runs


def _history(out, run, metric):
    return [(m.step, m.value) for m in _client(out).get_metric_history(run.info.run_id, metric)]


def _artifacts(run):
    return {p.name for p in Path(unquote(urlsplit(run.info.artifact_uri).path)).iterdir()}


def _stages(out, epochs=3):
    """A pipeline of one stage that logs as a training does."""
    parent = Stage("pipeline", str(out), config={"stages": ["train"]}).start()
    stage = Stage("train", str(out), config={"lr": 0.1}, parent_run="pipeline").start()
    engine = Engine(lambda engine, batch: None)
    stage.mlflow_handler("val_").attach(engine)
    engine.add_event_handler(Events.EPOCH_STARTED, lambda e: e.state.metrics.update(miou=e.state.epoch / 10))
    engine.run([0], max_epochs=epochs)
    stage.finish({"best": {"score": 0.75}}, [stage.folder / "config.yaml"])
    parent.finish()


def _all_is_there(out, epochs=3):
    runs = _runs(out)
    assert set(runs) == {"pipeline", "train"} and all(r.info.status == "FINISHED" for r in runs.values())
    train = runs["train"]
    assert train.data.tags["mlflow.parentRunId"] == runs["pipeline"].info.run_id
    assert _history(out, train, "val_miou") == [(k, k / 10) for k in range(1, epochs + 1)]
    assert _history(out, train, "best.score") == [(0, 0.75)]
    assert train.data.params["lr"] == "0.1" and train.data.params["max_epochs"] == str(epochs)
    assert _artifacts(train) == {"config.yaml", "environment.json"}


def test_what_a_run_logs(out, caplog, capfd):
    _stages(out)
    _all_is_there(out)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING] and capfd.readouterr() == ("", "")
    assert track(str(out)) == {"pipeline": 0, "train": 0}
    _all_is_there(out)


# --- stores that fail ---------------------------------------------------------------------------------------------------


@contextmanager
def _server(answer):
    """URI of a server that does ``answer(connection)`` with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.getsockname()[1]}"


def _error_500(connection):
    with connection:
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 500 Oops\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n")


SERVERS = {"500": _error_500, "hangs": lambda connection: threading.Event().wait(), "hangs up": socket.socket.close}
URIS = {
    "refused": "http://user:secret@127.0.0.1:9",
    "unknown": "banana://x",
    "a folder": "/tmp/mlruns",
    "damaged": "sqlite:///{out}/theirs.db",
}


@contextmanager
def _failing(kind, out, monkeypatch):
    monkeypatch.setattr(tracking, "_LIMIT", 0.3)
    (out / "theirs.db").write_bytes(b"damaged" * 1000)
    if kind in SERVERS:
        with _server(SERVERS[kind]) as uri:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            yield
    elif kind in URIS:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", URIS[kind].format(out=out))
        yield
    elif kind == "locked":
        monkeypatch.setattr("scripts.run.tracking_store._WRITE_PATIENCE", 0.1)
        with closing(sqlite3.connect(out / "mlruns.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
    elif kind == "no file":
        whole = (out / "mlruns.db").rename(out / "kept.db")
        (out / "mlruns.db").mkdir()
        yield
        (out / "mlruns.db").rmdir()
        whole.rename(out / "mlruns.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("kind", [*SERVERS, *URIS, "locked", "no file"])
def test_a_store_that_fails_costs_one_warning_and_all_is_logged_later(out, monkeypatch, caplog, capfd, kind):
    with _failing(kind, out, monkeypatch):
        _stages(out)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warning.startswith("MLflow at ") and "secret" not in warning and "Traceback" not in caplog.text
    assert warning.endswith(f"configs/track.yaml --output_dir {out}") and capfd.readouterr() == ("", "")
    for stage in ("pipeline", "train"):
        assert json.loads((out / stage / "stage.json").read_text())["state"] == "finished"
    assert track(str(out))["train"] > 5
    _all_is_there(out)
    assert track(str(out)) == {"pipeline": 0, "train": 0}
    _all_is_there(out)


def test_a_store_that_fails_midway(out, monkeypatch, caplog):
    tracker = Tracker(out, EXPERIMENT, "train")
    tracker.open()
    tracker.log_metrics({"loss": 3.0}, 1)
    assert tracker._live.patience.wait()
    tracker._live.patience.limit = 0.2
    with closing(sqlite3.connect(out / "mlruns.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        tracker.log_metrics({"loss": 2.0}, 2)
        tracker.log_metrics({"loss": 1.0}, 3)
        tracker.close()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    assert track(str(out))["train"] <= 3  # the call that was waiting may have come through since
    run = _runs(out)["train"]
    assert _history(out, run, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)] and run.info.status == "FINISHED"


def test_a_copy_that_was_interrupted_logs_nothing_twice(out, monkeypatch):
    """Between the figures of an entry and the note that they are there."""
    tracker = Tracker(out, EXPERIMENT, "train")
    run_id = tracker.open()
    for step in (1, 2):
        tracker.log_metrics({"loss": 1.0}, step)
    tracker.close()
    _client(out).set_tag(run_id, "journal.copied", "0")
    assert track(str(out)) == {"train": 3}
    assert _history(out, _runs(out)["train"], "loss") == [(1, 1.0), (2, 1.0)]


def test_a_command_that_reaches_no_store_says_so(out, monkeypatch):
    Tracker(out, EXPERIMENT, "train").open()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"MLflow at http://\*\*\*@127\.0\.0\.1:9 \(MLFLOW_TRACKING_URI\): .*refused"):
        track(str(out))
    with pytest.raises(FileNotFoundError, match=r"found no stage with a tracking\.jsonl"):
        track(str(out / "train"))


def test_a_journal_that_cannot_be_written_ends_no_run(out, caplog):
    (out / "train" / JOURNAL).mkdir(parents=True)
    tracker = Tracker(out, EXPERIMENT, "train")
    assert tracker.open() is None
    tracker.log_metrics({"loss": 1.0})
    tracker.close()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


# --- runs that are interrupted, moved, repeated --------------------------------------------------------------------------


def test_a_run_that_began_without_mlflow_is_one_run_with_it(out, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "banana://x")
    first = Tracker(out, EXPERIMENT, "train")
    assert first.open() is None
    first.log_metrics({"loss": 2.0}, 1)
    first._abandon()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    again = Tracker(out, EXPERIMENT, "train")
    run_id = again.open(None, resumes=True)
    again.log_metrics({"loss": 1.0}, 2)
    again.close()
    run = _runs(out)["train"]
    assert run.info.run_id == run_id and run.info.status == "FINISHED"
    assert _history(out, run, "loss") == [(1, 2.0), (2, 1.0)]


def test_an_epoch_that_is_done_again_counts_once(out):
    for epochs in ((1, 2), (2, 3)):
        tracker = Tracker(out, EXPERIMENT, "train")
        tracker.open(resumes=True)
        for step in epochs:
            tracker.log_metrics({"loss": 1 / step}, step)
        tracker._abandon()
    run = _runs(out)["train"]
    assert _history(out, run, "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)] and run.info.status == "KILLED"


def test_a_run_of_another_configuration_is_another_run(out):
    ids = []
    for _ in range(2):
        tracker = Tracker(out, EXPERIMENT, "train")
        ids.append(tracker.open())
        tracker.close()
    assert len(set(ids)) == 2 and len(read_journal(out / "train")) == 2


def test_a_run_of_before_there_were_journals_is_continued(out):
    mirror = Mirror(out)
    handler = mirror._handler(EXPERIMENT)
    old = handler.client.create_run(handler.experiment.experiment_id, run_name="train").info.run_id
    handler.client.log_param(old, "lr", "0.1")
    tracker = Tracker(out, EXPERIMENT, "train")
    assert tracker.open(old, resumes=True) == old
    tracker.log_params({"lr": 0.2, "seed": 0})
    tracker.close()
    assert _runs(out)["train"].data.params == {"lr": "0.1", "seed": "0"}
    absent = Tracker(out, EXPERIMENT, "other")
    assert absent.open("0" * 32, resumes=True) not in (None, old, "0" * 32)


def test_a_run_whose_journal_is_gone_goes_on(out):
    """With none of its new entries taken for one of the old."""
    ids = []
    for step in (1, 2):
        tracker = Tracker(out, EXPERIMENT, "train")
        ids.append(tracker.open(ids[-1] if ids else None, resumes=True))
        tracker.log_metrics({"loss": 1.0}, step)
        tracker.close()
        (out / "train" / JOURNAL).unlink()
    assert ids[0] == ids[1] and _history(out, _runs(out)["train"], "loss") == [(1, 1.0), (2, 1.0)]


def test_a_line_that_was_half_written_does_not_count(out):
    tracker = Tracker(out, EXPERIMENT, "train")
    tracker.open()
    tracker.log_metrics({"loss": 2.0}, 1)
    with (out / "train" / JOURNAL).open("ab") as file:
        file.write(b'{"metrics": null}\n[1]\n\xff\n{"metrics": {"loss"')
    tracker.log_metrics({"loss": 1.0}, 2)
    tracker.close()
    assert _history(out, _runs(out)["train"], "loss") == [(1, 2.0), (2, 1.0)]


def test_runs_of_several_folders_are_compared_in_one_store(tmp_path, new_store):
    """Each keeps its own store; the common one has both, parents and children, and nothing twice."""
    folders = [tmp_path / "runs" / name for name in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "mlruns.db").write_bytes(new_store)
        _stages(folder)
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "all.db").write_bytes(new_store)
    uri = f"sqlite:///{tmp_path / 'all.db'}"
    logged = track(str(tmp_path / "runs" / "*"), uri)
    assert {Path(k).relative_to(tmp_path / "runs").as_posix() for k in logged} == {
        "a/pipeline",
        "a/train",
        "b/pipeline",
        "b/train",
    }
    client = mlflow.MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    stages = [run.data.tags["stage"] for run in found]
    assert sorted(stages) == ["pipeline", "pipeline", "train", "train"]
    parents = {run.info.run_id for run in found if run.data.tags["stage"] == "pipeline"}
    assert {run.data.tags["mlflow.parentRunId"] for run in found if run.data.tags["stage"] == "train"} == parents
    assert all(_artifacts(run) >= {"config.yaml"} for run in found)
    assert set(track([str(f) for f in folders], uri).values()) == {0}
    for folder in folders:
        _all_is_there(folder)


def test_of_several_folders_those_without_a_run_are_named_and_the_others_logged(tmp_path, out, new_store):
    _stages(out)
    (tmp_path / "all.db").write_bytes(new_store)
    with pytest.raises(SystemExit) as error:
        track([str(tmp_path / "absent"), str(out)], f"sqlite:///{tmp_path / 'all.db'}")
    assert "1 of 2 folders were not logged" in str(error.value) and str(tmp_path / "absent") in str(error.value)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'all.db'}")
    assert len(client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])) == 2
    with pytest.raises(FileNotFoundError, match="found no folder of a run among"):
        track(str(tmp_path / "nothing*"))


@pytest.mark.parametrize("way", [shutil.move, shutil.copytree])
def test_a_run_folder_may_lie_anywhere(out, tmp_path, way):
    _stages(out)
    before = {run.info.run_id for run in _runs(out).values()}
    new = tmp_path / "moved to" / "here"
    new.parent.mkdir()
    way(out, new)
    assert track(str(new)) == {"pipeline": 0, "train": 0}
    _all_is_there(new)
    stage = Stage("train", str(new), config={"lr": 0.1}, parent_run="pipeline").start()
    stage.finish({"best": {"score": 0.75}}, [stage.folder / "stage.json"])
    runs = _runs(new)
    assert {run.info.run_id for run in runs.values()} == before
    for run in runs.values():
        assert run.info.artifact_uri.startswith(f"{new.as_uri()}/mlruns/")
    assert _artifacts(runs["train"]) == {"config.yaml", "environment.json", "stage.json"}
    assert not list(out.rglob("mlruns/**/stage.json"))


def test_names_that_mlflow_refuses_are_changed(out, caplog):
    tracker = Tracker(out, EXPERIMENT, "train")
    tracker.open()
    tracker.log_metrics(
        {"iou": {"a/b": 0.1, "../c": 0.2, "d//e": 0.3, "<f>": 0.4, "": 0.5, "g" * 300: 0.6}, "/h": 0.7, "../i": 0.8}
    )
    tracker.log_params({"p#q": "\udcff", "long": "x" * 10_000})
    tracker.close()
    data = _runs(out)["train"].data
    names = {"iou.a/b": 0.1, "iou.../c": 0.2, "_iou.d__e": 0.3, "iou._f_": 0.4, "iou.": 0.5, "iou." + "g" * 236: 0.6}
    assert data.metrics == {**names, "__h": 0.7, "_.._i": 0.8}
    assert data.params == {"p.q": "?", "long": "x" * 6000}
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
