from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import time
from types import SimpleNamespace

import mlflow
import pytest
import torch
import yaml
from lock_holder import hold_lock, refusal
from monai.bundle import ConfigWorkflow
from scripts.core import stopping
from scripts.core.atomic import atomic_path, discard_unfinished
from scripts.core.environment import bundle_version, environment
from scripts.run.holding import hold
from scripts.run.pipeline import run_pipeline
from scripts.run.stage import Stage
from scripts.run.tracking import tracking_uri


def _stage(folder, **settings):
    settings = {"name": "s", "config": {"epochs": 3, "nested": {"lr": 0.1}}, **settings}
    return Stage(output_dir=str(folder / "out"), **settings)


def test_folder_explains_itself(tmp_path):
    stage = _stage(tmp_path, seed=5).start()
    record = json.loads((stage.folder / "stage.json").read_text())
    assert record["state"] == "running" and not _stage(tmp_path, seed=5).finished()
    stage.finish({"miou": 0.5})
    assert _stage(tmp_path, seed=5).finished()
    details = json.loads((stage.folder / "environment.json").read_text())
    assert details["gpu"] == (torch.cuda.get_device_name() if torch.cuda.is_available() else None)
    assert details["seed"] == 5 and details["packages"]["monai"] == environment()["packages"]["monai"]
    assert yaml.safe_load((stage.folder / "config.yaml").read_text())["nested"] == {"lr": 0.1}


def test_fingerprint_covers_configuration_inputs_and_key_but_not_places(tmp_path):
    (tmp_path / "in.txt").write_text("1")
    settings = {"inputs": [str(tmp_path / "in.txt")]}
    _stage(tmp_path, **settings).start().finish()
    assert _stage(tmp_path, **settings).finished()
    assert not _stage(tmp_path, config={"epochs": 4}, **settings).finished()
    assert not _stage(tmp_path, key="x", **settings).finished()
    moved = {
        "epochs": 3,
        "nested": {"lr": 0.1},
        "output_dir": "elsewhere",
        "progress": False,
        "parent_run": "p",
        "recipe": "r",
    }
    assert _stage(tmp_path, config=moved, **settings).finished()
    (tmp_path / "in.txt").write_text("2")
    assert not _stage(tmp_path, **settings).finished()


def test_state_of_another_configuration_is_put_aside(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = _stage(tmp_path).start().folder
    (folder / "last.pt").write_text("state")
    _stage(tmp_path).start()
    assert (folder / "last.pt").exists()
    _stage(tmp_path, config={"epochs": 9, "nested": {"lr": 0.1}}).start()
    (kept,) = folder.glob("last*.pt")
    assert kept.read_text() == "state" and kept.name == f"last.{hashlib.sha256(b'state').hexdigest()[:8]}.pt"
    assert "s starts anew: other settings than before (epochs)" in caplog.messages and str(kept) in caplog.text


def test_what_a_killed_run_has_left_half_written_is_removed(tmp_path):
    """Of the run, of the stage, however deep, and of the folders that it writes to."""
    folder = _stage(tmp_path).start().folder
    models = tmp_path / "models"
    left = [folder / ".writing-abc.pt", folder / "label_maps/gate/.writing-abc.png", folder.parent / ".writing-abc.txt",
            models / ".writing-abc.pt"]  # fmt: skip
    others = [models / "kept.pt", folder / "label_maps/gate/kept.png"]
    for path in (*left, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    _stage(tmp_path, writes=[str(models)]).start()
    assert [path.exists() for path in (*left, *others)] == [False] * 4 + [True] * 2


@pytest.fixture
def holder(tmp_path):
    """Starts a real process that holds a lock until the test ends."""
    processes = []

    def start(path):
        processes.append(hold_lock(path))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("place", ["out", "models"])
def test_two_processes_do_not_work_in_one_folder(tmp_path, holder, place):
    settings = {"writes": [str(tmp_path / "models"), str(tmp_path / "out" / "pseudo_masks")]}
    process = holder(tmp_path / place / ".lock")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BlockingIOError, match=rf"{place}: in use by train \(process {process.pid} on .*wait for its end"):
        _stage(tmp_path, **settings).start()
    with pytest.raises(BlockingIOError, match="in use by train"):
        run_pipeline(str(tmp_path / "data"), str(tmp_path / "out"), str(tmp_path / "models"))
    with pytest.raises(BlockingIOError, match="in use by train"):
        hold(tmp_path / place, "the demo")
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != "out"] == [p for p in before if p.name != "out"]
    process.kill()
    process.wait()
    stage = _stage(tmp_path, **settings).start()
    assert json.loads((tmp_path / "out/.lock").read_text())["work"] == "stage s"
    assert (tmp_path / "models/.lock").exists() and (tmp_path / "out/pseudo_masks/.lock").exists()
    stage.finish()
    assert not list(tmp_path.rglob(".lock"))


def test_nor_does_another_run_in_a_folder_of_weights_inside_this_one(tmp_path, holder):
    """A run holds its weights by themselves, as another may write them without working in the run's folder."""
    stage = _stage(tmp_path, writes=[str(tmp_path / "out/models")]).start()
    assert "in use by stage s" in refusal(tmp_path / "out/models/.lock")
    stage.finish()
    holder(tmp_path / "out/models/.lock")
    with pytest.raises(BlockingIOError, match="models: in use by train"):
        _stage(tmp_path, writes=[str(tmp_path / "out/models")]).start()


def test_what_ones_own_files_import_beside_them_counts(tmp_path):
    (tmp_path / "mine.py").write_text("from helper import f\n")
    prints = []
    for text in ("f = 1", "f = 2", "f = 1"):
        (tmp_path / "helper.py").write_text(text)
        stage = _stage(tmp_path, config={"own": str(tmp_path / "mine.py")})
        stage.finished()
        prints.append(stage.fingerprint)
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.parametrize("seconds", [None, "x", [1]])
def test_a_record_of_odd_content_stops_nothing(tmp_path, seconds):
    first = _stage(tmp_path).start()
    first.finish()
    path = tmp_path / "out/s/stage.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "seconds": seconds, "carried": {"version": bundle_version()}})
    )
    stage = _stage(tmp_path)
    assert stage.finished() and stage.start().resumes
    stage.finish()
    assert json.loads(path.read_text())["seconds"] < 60


def test_a_stage_that_fails_gives_its_folder_back(tmp_path):
    (tmp_path / "out/s").mkdir(parents=True)
    (tmp_path / "out/s/config.yaml").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match=r"config\.yaml"):
        _stage(tmp_path).start()
    assert not (tmp_path / "out/.lock").exists()
    stage = _stage(tmp_path, name="other").start()
    del stage  # given up
    gc.collect()
    assert not (tmp_path / "out/.lock").exists()


def test_its_log_is_continued_by_every_start(tmp_path):
    for _ in range(2):
        stage = _stage(tmp_path).start()
        logging.getLogger("ignite.engine.engine.Engine").warning("Engine run starting")
        stage.finish()
    logging.getLogger("ignite.engine.engine.Engine").warning("Engine run starting")
    assert (stage.folder / "log.txt").read_text().count("Engine run starting") == 2


def test_it_says_what_it_is_doing(tmp_path):
    stage = _stage(tmp_path).start()
    assert stopping._works[-1]() == "stage s"
    stage.progress = "after epoch 3 of 12"
    assert stopping._works[-1]() == "stage s, after epoch 3 of 12"
    stage.finish()
    assert not stopping._works


def test_threads_are_those_asked_for(tmp_path):
    before = torch.get_num_threads()
    try:
        _stage(tmp_path, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match="threads: found 0"):
        _stage(tmp_path, threads=0)


def test_the_time_of_a_killed_run_counts(tmp_path, monkeypatch):
    """By a clock of its own: 60 s before the kill and 5 s after it, however busy the machine is."""
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now, strftime=time.strftime)
    monkeypatch.setattr("scripts.run.stage.time", clock)
    stage = _stage(tmp_path).start()
    clock.now += 60
    stage.save_time()
    clock.now += 1000  # until it is started again
    again = _stage(tmp_path).start()
    clock.now += 5
    again.finish()
    assert json.loads((again.folder / "stage.json").read_text())["seconds"] == 65


def test_only_unfinished_files_of_that_name_are_discarded(tmp_path):
    with atomic_path(tmp_path / "a.pt") as path:
        kept = path.with_name(path.name + "x")
        kept.touch()
    discard_unfinished(tmp_path / "b.pt")
    assert kept.exists() and (tmp_path / "a.pt").exists()
    discard_unfinished(tmp_path / "a.pt")
    assert not kept.exists() and (tmp_path / "a.pt").exists()


def test_one_tracked_run_survives_interruptions_and_has_its_parent(tmp_path):
    parent = _stage(tmp_path, name="pipeline").start()
    child = _stage(tmp_path, parent_run=parent.tracker.run_id).start()
    run_id = child.tracker.run_id
    again = _stage(tmp_path, parent_run=parent.tracker.run_id).start()
    assert again.tracker.run_id == run_id
    again.finish({"scores": {"a b": {"miou": 0.25, "none": None}}}, [again.folder / "config.yaml", again.folder / "absent"])
    run = mlflow.MlflowClient(tracking_uri(tmp_path / "out")).get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.tags["mlflow.parentRunId"] == parent.tracker.run_id
    assert run.data.metrics == {"scores.a b.miou": 0.25}
    assert run.data.params["nested.lr"] == "0.1" and run.data.params["environment.python"]
    assert (tmp_path / "out" / "mlruns.db").is_file()


def test_tracking_uri_of_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    _stage(tmp_path).start().finish()
    assert (tmp_path / "elsewhere.db").is_file() and not (tmp_path / "out" / "mlruns.db").exists()


def test_absent_input_and_unwritable_output(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"needs .*absent\.pt"):
        _stage(tmp_path, inputs=[str(tmp_path / "absent.pt")]).start()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Stage("s", str(tmp_path / "file" / "out"), config={}).start()
    if os.getuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match="locked"):
            Stage("s", str(tmp_path / "locked" / "out"), config={}).start()


def test_records_the_configuration_of_the_running_workflow(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "epochs: 3\nstage: {_target_: scripts.run.stage.Stage, name: s, output_dir: "
        + str(tmp_path / "o")
        + "}\nrun: [$@stage.start()]\n"
    )
    ConfigWorkflow(config_file=str(config), workflow_type=None, logging_file=False, meta_file=str(config), epochs=4).run()
    assert yaml.safe_load((tmp_path / "o/s/config.yaml").read_text())["epochs"] == 4
