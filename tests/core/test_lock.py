from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.core.lock import locked

LOCK = Path(__file__).parents[2] / "bundle" / "scripts" / "core" / "lock.py"
# the module alone, as importing the bundle takes seconds
HOLD = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("lock", {str(LOCK)!r})
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
with lock.locked(sys.argv[1], "train"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """A real process that holds the lock until it is told to end, or killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == "held\n"
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
    # the forked one says so, once it has let go
    fork = "    import os, time\n    if not os.fork():\n        print('held', flush=True)\n        time.sleep(60)"
    code = HOLD.replace('    print("held", flush=True)', fork)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".lock")], stdin=-1, stdout=-1, text=True, start_new_session=True
    )
    try:
        assert process.stdout.readline() == "held\n"
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
        done = subprocess.run(
            [sys.executable, "-c", HOLD, str(tmp_path / ".lock")], input="\n", capture_output=True, text=True
        )
        assert done.returncode == 1 and "in use by pipeline" in done.stderr
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
