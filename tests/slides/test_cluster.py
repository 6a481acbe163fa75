"""A cohort on Dask with real workers: killed ones cost nothing, a slide that kills them is given up."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_slides import made, segment, starts, write_slides
from scripts.slides import run_cohort
from scripts.slides.slide_record import read_record


def _texts(folder):
    return {p.name: p.read_text() for p in folder.glob("*.txt")}


def _kill_the_worker_of(name: str, folder: Path, killed: list[int]) -> None:
    """Once it has begun the slide."""
    place, end = folder / "starts" / name, time.monotonic() + 900  # where cores are few, workers take minutes to import all
    while time.monotonic() < end:
        if place.is_file() and (lines := place.read_text().split()):
            killed.append(int(lines[0]))
            os.kill(killed[0], signal.SIGKILL)
            (folder / "go").touch()
            return
        time.sleep(0.01)


def test_two_workers_one_killed_and_a_slide_that_kills_its_worker_every_time(tmp_path):
    pytest.importorskip("distributed")
    words = {f"s{k}": "good" for k in range(6)}
    source = write_slides(tmp_path / "in", **words, s6="slow 60", poison="kills")
    out, reference, killed = tmp_path / "out", tmp_path / "reference", []
    killer = threading.Thread(target=_kill_the_worker_of, args=("s6", out, killed), daemon=True)
    killer.start()
    settings = {"engine": "dask", "workers": 2, "progress": False, "fingerprint": "f"}
    with pytest.raises(SystemExit) as error:
        run_cohort(source, None, out, make_segment=made(), **settings)
    killer.join(10)
    assert str(error.value).splitlines() == [
        "1 slides were not segmented:",
        f"{source / 'poison.svs'}: given up, as its process died at each of 3 starts (out of memory?)",
    ]
    assert killed and killed[0] != os.getpid()
    assert starts(out) == {**dict.fromkeys(words, 1), "s6": 2, "poison": 3}
    (source / "poison.svs").unlink()
    reference.mkdir()
    (reference / "go").touch()
    run_cohort(source, segment, reference, progress=False, fingerprint="f")
    assert _texts(out) == _texts(reference) and len(_texts(out)) == 7
    for k in range(7):
        one, other = (read_record(folder, f"s{k}") for folder in (out, reference))
        assert {key for key in one if one[key] != other[key]} <= {"run", "seconds"}
    assert read_record(out, "poison")["state"] == "given up"
    assert "8 slides: 1 given up, 7 finished" in (out / "cohort.html").read_text(encoding="utf-8")
    assert not list(out.glob(".*.lock"))


def test_without_dask_one_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    source = write_slides(tmp_path / "in", a="good")
    with pytest.raises(ModuleNotFoundError, match=r"distributed is not installed; pip install '\.\[cluster\]'"):
        run_cohort(source, segment, tmp_path / "out", engine="dask", progress=False)


@pytest.mark.parametrize("workers", [0, True, "2"])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path, workers):
    pytest.importorskip("distributed")
    source = write_slides(tmp_path / "in", a="good")
    with pytest.raises(ValueError, match="workers: found"):
        run_cohort(source, segment, tmp_path / "out", engine="dask", workers=workers, progress=False)
