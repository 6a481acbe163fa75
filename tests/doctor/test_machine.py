from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from scripts.core.threads import available_threads
from scripts.doctor.machine import machine


def _line(what, output_dir):
    (line,) = [f for f in machine(output_dir) if f.what == what]
    return line


def test_more_threads_than_the_process_may_use_are_advised_against(monkeypatch, tmp_path):
    may = available_threads()
    for asked, state in ((may, "ok"), (may + 1, "differs")):
        monkeypatch.setenv("OMP_NUM_THREADS", str(asked))
        line = _line("threads", tmp_path)
        assert line.state == state and line.found.startswith(f"{may} at once, OMP_NUM_THREADS {asked},")
        assert bool(line.advice) == (state != "ok")


@pytest.mark.parametrize(("gigabytes", "state"), [(2, "differs"), (8, "ok")])
def test_memory_that_the_largest_networks_do_not_fit_in(monkeypatch, tmp_path, gigabytes, state):
    sizes = {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": gigabytes * 10**6, "SC_AVPHYS_PAGES": 10**6}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    line = _line("memory", tmp_path)
    assert (line.state, line.found) == (state, f"{gigabytes}.0 GB, 1.0 GB of it free")


def test_disk_is_that_of_the_folder_above_one_that_is_not_there_yet(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("shutil.disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=3.5e9))
    line = _line("output_dir", tmp_path / "a/b")
    assert asked == [tmp_path] and (line.state, line.found) == ("ok", f"3.5 GB free at {tmp_path / 'a/b'}")
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e8))
    assert _line("output_dir", tmp_path).state == "differs"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    line = _line("output_dir", tmp_path / "file/out")
    assert line.state == "missing" and line.found == f"{tmp_path / 'file'} cannot be written"
