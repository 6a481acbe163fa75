from __future__ import annotations

import json
import os
import signal
import socket

import pytest
from lock_holder import hold_lock, refusal
from scripts.core.lock import locked


@pytest.fixture
def holder(tmp_path):
    """A real process that holds the lock until it is told to end, or killed."""
    process = hold_lock(tmp_path / ".lock")
    yield process
    process.kill()
    process.wait()


def test_another_process_is_refused_and_told_who_has_it(tmp_path, holder):
    with pytest.raises(BlockingIOError) as error, locked(tmp_path / ".lock", "evaluate"):
        pass
    for word in (str(tmp_path), "in use by train", f"process {holder.pid} on {socket.gethostname()}", ".lock"):
        assert word in str(error.value)


def test_it_is_free_and_its_file_gone_once_its_holder_has_ended(tmp_path, holder):
    holder.communicate("\n")
    assert not (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock", "evaluate"):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_that_of_a_killed_process_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock", "evaluate"):
        assert json.loads((tmp_path / ".lock").read_text())["work"] == "evaluate"
    assert list(tmp_path.iterdir()) == []


def test_processes_forked_from_a_killed_holder_do_not_keep_it(tmp_path):
    process = hold_lock(tmp_path / ".lock", forked=True)
    try:
        process.kill()
        process.wait()
        with locked(tmp_path / ".lock", "evaluate"):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


def test_a_process_may_take_its_own_again_and_keeps_it_to_the_outer_end(tmp_path):
    with locked(tmp_path / ".lock", "pipeline"):
        with locked(tmp_path / ".lock", "train"):
            pass
        assert json.loads((tmp_path / ".lock").read_text())["work"] == "pipeline"
        assert "in use by pipeline" in refusal(tmp_path / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_it_is_released_when_the_work_fails(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / ".lock", "train"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_two_names_is_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked(tmp_path / "link" / ".lock", "train"):
        with locked(tmp_path / "real" / ".lock", "evaluate"):
            pass
        assert (tmp_path / "real" / ".lock").exists()
    assert list((tmp_path / "real").iterdir()) == []
