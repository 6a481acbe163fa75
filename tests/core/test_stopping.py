from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

STOPPING = Path(__file__).parents[2] / "bundle" / "scripts" / "core" / "stopping.py"
# the module alone, as importing the bundle takes seconds
BEGIN = f"""
import importlib.util, multiprocessing, os, sys, time
spec = importlib.util.spec_from_file_location("stopping", {str(STOPPING)!r})
stopping = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stopping)
stopping.install_stopping()
left = open(sys.argv[1], "w")
"""
# what may be going on when the signal comes; each says that it is, and never ends by itself
WORK = {
    "a loop": """
with stopping.working(lambda: "stage train, after epoch 3 of 12"):
    try:
        print("ready", flush=True)
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass
    finally:
        left.close()
        os.unlink(left.name)
""",
    "workers": """
def work():
    while True:
        time.sleep(0.01)
with stopping.working(lambda: "stage train, after epoch 3 of 12"):
    for _ in range(2):
        multiprocessing.get_context("fork").Process(target=work, daemon=True).start()
    os.unlink(left.name)
    print("ready", flush=True)
    work()
""",
    "a destructor": """
class Slow:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(60)
with stopping.working(lambda: "stage train, after epoch 3 of 12"):
    os.unlink(left.name)
    slow = Slow()
    del slow
    while True:
        time.sleep(0.01)
""",
    "an import": """
folder = os.path.dirname(left.name)
with open(os.path.join(folder, "slow_module.py"), "w") as file:
    file.write("import time; print('ready', flush=True); time.sleep(60)")
os.unlink(left.name)
sys.path.insert(0, folder)
with stopping.working(lambda: "stage train, after epoch 3 of 12"):
    try:
        import slow_module
    except Exception:
        pass
""",
}


def _heed():
    """Whatever the tests were started by: the background of a script ignores Ctrl-C, and so do all that it starts."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _begin(tmp_path, work):
    words = [sys.executable, "-c", BEGIN + work, str(tmp_path / "left")]
    process = subprocess.Popen(words, stdout=-1, stderr=-1, text=True, start_new_session=True, preexec_fn=_heed)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)])
@pytest.mark.parametrize("to_all", [False, True])
def test_one_line_the_code_of_the_signal_and_nothing_left(tmp_path, work, number, name, code, to_all):
    """Whatever is going on; the signal comes to the process alone, or, as from a terminal, to its workers too."""
    process = _begin(tmp_path, WORK[work])
    (os.killpg if to_all else os.kill)(process.pid, number)
    _, stderr = process.communicate(timeout=50)
    assert stderr == f"stopped by {name} in stage train, after epoch 3 of 12; the same command continues\n"
    assert process.returncode == code and not (tmp_path / "left").exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no worker is left


def test_a_second_signal_does_not_wait(tmp_path):
    work = "try:\n print('ready', flush=True); time.sleep(60)\nfinally:\n print('ready', flush=True); time.sleep(60)"
    process = _begin(tmp_path, work)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=50)[1] == "stopped by Ctrl-C\n" and process.returncode == 130


def test_an_ignored_signal_stays_ignored(tmp_path):
    """As that of a command in the background of a script."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + BEGIN + "os.kill(os.getpid(), 2); print('on')"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "left")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")
