"""A real process that holds a lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LOCK = Path(__file__).parents[1] / "bundle" / "scripts" / "core" / "lock.py"
# the module alone, as importing the bundle takes seconds
_HOLD = f"""
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("lock", {str(_LOCK)!r})
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
with lock.locked(sys.argv[1], "train"):
    %s
"""
_UNTIL_TOLD = 'print("held", flush=True); sys.stdin.readline()'
# the forked one says so, once it has let go
_FORKED = 'os.fork() or (print("held", flush=True), time.sleep(60)); sys.stdin.readline()'


def hold_lock(path: str | Path, forked: bool = False) -> subprocess.Popen[str]:
    """A process that holds a lock, by the name ``train``, until it is given a line, or killed.

    Args:
        path: file of the lock.
        forked: whether another is forked from it, of its own process group.
    """
    code = _HOLD % (_FORKED if forked else _UNTIL_TOLD)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1, text=True, start_new_session=forked
    )
    assert process.stdout.readline() == "held\n"
    return process


def refusal(path: str | Path) -> str:
    """What a process says that cannot have a lock."""
    done = subprocess.run([sys.executable, "-c", _HOLD % _UNTIL_TOLD, str(path)], input="\n", capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr
