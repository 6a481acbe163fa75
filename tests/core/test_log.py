from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT
from scripts.core.log import current_log, install_console, logged_to


@pytest.fixture
def console(monkeypatch):
    """The console as ``logging.conf`` and the bundle make it."""
    root, stream = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.set_name("people")
    monkeypatch.setattr(root, "handlers", [handler])
    monkeypatch.setattr(root, "level", logging.INFO)
    library = logging.getLogger("monai.of.a.test")  # MONAI's write to the console themselves
    monkeypatch.setattr(library, "handlers", [logging.StreamHandler(stream)])
    monkeypatch.setattr(library, "propagate", False)
    install_console()
    yield stream
    logging.captureWarnings(False)


def _say():
    logging.getLogger("scripts.run.pipeline").info("stage 1/4 train")
    logging.getLogger("scripts.data").warning("no mask")
    logging.getLogger("my_backbone").warning("mine")
    logging.getLogger("monai.of.a.test").warning("Logging file is set to False, skipping logging.")
    logging.getLogger("ignite.engine.engine.SupervisedTrainer").info("Engine run resuming from iteration 0")
    logging.getLogger("ignite.engine.engine.SupervisedTrainer").error("Engine run is terminating due to exception: x")
    logging.getLogger("StatsHandler").error("Exception: x")
    warnings.warn("of a library", stacklevel=1)


LIBRARIES = ("Logging file is set to False", "resuming from iteration 0", "terminating due to exception", "of a library")


def test_the_console_says_what_people_want_to_know_and_the_file_everything(console, tmp_path):
    before = current_log()  # a stage that failed in another test may still have its own
    with logged_to(tmp_path / "log.txt"):
        assert current_log() == tmp_path / "log.txt"
        _say()
    assert current_log() == before
    shown = [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in console.getvalue().splitlines()]
    assert shown == ["stage 1/4 train", "warning: no mask", "warning: mine"]
    text = (tmp_path / "log.txt").read_text()
    assert all(words in text for words in (*LIBRARIES, "stage 1/4 train", "no mask"))
    _say()
    assert (tmp_path / "log.txt").read_text() == text


def test_the_log_of_the_pipeline_is_that_of_the_console_and_goes_on_when_it_is_continued(console, tmp_path):
    for _ in range(2):
        with logged_to(tmp_path / "log.txt", everything=False):
            _say()
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 6 and not any(words in line for line in lines for words in LIBRARIES)


def test_a_console_of_ones_own_is_left_as_it_is(monkeypatch):
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    install_console()
    assert logging.getLogger().handlers == [handler]


def test_work_goes_on_when_nobody_reads_any_more(tmp_path):
    log = Path(BUNDLE_ROOT) / "scripts/core/log.py"
    code = f"""
import importlib.util, logging, os, sys
spec = importlib.util.spec_from_file_location("log", {str(log)!r})
log = importlib.util.module_from_spec(spec)
spec.loader.exec_module(log)
handler = logging.StreamHandler(sys.stdout)
handler.set_name("people")
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
log.install_console()
os.close(int(sys.argv[1]))
for _ in range(3):
    logging.getLogger("scripts.x").info("line")
open(sys.argv[2], "w").close()
"""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(read), str(tmp_path / "done")], stdout=write, stderr=-1, text=True, pass_fds=[read]
    )
    os.close(read), os.close(write)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "") and (tmp_path / "done").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_log_says_nothing_of_its_own(capfd):
    with logged_to("/dev/full"):
        logging.getLogger("scripts.run").warning("no mask")
    assert "Logging error" not in capfd.readouterr().err
