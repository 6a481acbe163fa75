from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace

import mlflow
import pytest
import torch
import yaml
from monai.bundle import ConfigWorkflow
from scripts.core.atomic import atomic_path, discard_unfinished
from scripts.core.environment import environment
from scripts.core.errors import root_cause
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


def test_state_of_another_configuration_is_dropped(tmp_path):
    folder = _stage(tmp_path).start().folder
    (folder / "last.pt").touch()
    _stage(tmp_path).start()
    assert (folder / "last.pt").exists()
    _stage(tmp_path, config={"epochs": 9}).start()
    assert not (folder / "last.pt").exists()


def test_what_a_killed_run_has_left_half_written_is_removed(tmp_path):
    folder = _stage(tmp_path).start().folder
    left = folder / ".writing-abc.pt"
    left.write_bytes(b"half")
    _stage(tmp_path).start()
    assert not left.exists()


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


def test_root_cause_is_the_message_that_matters():
    try:
        try:
            raise ValueError("x.png: found this, expected that")
        except ValueError as error:
            raise RuntimeError("Failed to evaluate ConfigExpression") from error
    except RuntimeError as wrapped:
        assert str(root_cause(wrapped)) == "x.png: found this, expected that"
    plain = RuntimeError("other")
    assert root_cause(plain) is plain
