from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data import staging
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare
from scripts.data.staging import made_aside, recover

FACTS = DatasetFacts(classes=("a", "b"))
NAMES = ("list", "record")


class Killed(BaseException):
    """What no program catches."""


def _tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def _make(target, content, old=()):
    with made_aside(target, old, *NAMES) as folder:
        for name, text in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)


OLD = {"list": "old", "record": "old", "a/1": "old", "b/1": "old"}
NEW = {"list": "new", "record": "new", "b/2": "new", "c/1": "new"}


def _killed_at(moment, monkeypatch, work):
    """Do the work, but end it, nothing tidied up, before its rename of this number; whether it came so far."""
    real, count = os.replace, 0

    def replace(source, target):
        nonlocal count
        if count == moment:
            raise Killed
        count += 1
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(staging.os, "replace", replace)
        patch.setattr(staging.shutil, "rmtree", lambda *_, **__: None)
        try:
            work()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("again", [False, True])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path, monkeypatch, again):
    """``again``: the start after it is killed too, at each of its moments."""
    seen, moment = set(), 0
    while True:
        target = tmp_path / f"{moment}"
        _make(target, OLD)
        (target / "mine").write_text("a user's own")
        killed = _killed_at(moment, monkeypatch, lambda t=target: _make(t, NEW, [*NAMES, "a", "b"]))
        for second in range(20 if again else 0):
            if not _killed_at(second, monkeypatch, lambda t=target: recover(t, *NAMES)):
                break
        recover(target, *NAMES)
        left = _tree(target)
        assert left.pop("mine") == "a user's own"
        assert left in (OLD, NEW), moment
        seen.add(left["list"])
        if not killed:
            break
        moment += 1
    assert seen == {"old", "new"} and moment > 6


def test_an_error_leaves_nothing_and_what_is_not_ours_is_not_replaced(tmp_path):
    with pytest.raises(RuntimeError), made_aside(tmp_path, [], *NAMES) as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert _tree(tmp_path) == {}
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine").write_text("mine")
    with pytest.raises(FileExistsError, match="holds 'a', which prepare has not made"):
        _make(tmp_path, OLD)
    assert _tree(tmp_path) == {"a/mine": "mine"}


def test_copies_that_version_0_5_left_when_it_was_killed_go(tmp_path):
    (tmp_path / ".set-preparing-abc/train").mkdir(parents=True)
    (tmp_path / ".set2-preparing-abc").mkdir()
    recover(tmp_path / "set", *NAMES)
    assert [p.name for p in tmp_path.iterdir()] == [".set2-preparing-abc"]


def _rois(folder, count=6):
    import numpy as np

    rng = np.random.default_rng(1)
    for i in range(count):
        write_image(folder / "images" / f"r{i}.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
        write_mask(folder / "masks" / f"r{i}.png", np.eye(40), FACTS)
    return folder


SCRIPT = """
import importlib, sys, time
from pathlib import Path
sys.path.insert(0, {bundle!r})
module = importlib.import_module("scripts.data.prepare")
write = module.write_patches
def slowly(*arguments):
    sections = write(*arguments)
    Path({signal!r}).touch()
    time.sleep(600)
    return sections
module.write_patches = slowly
module.prepare({source!r}, {target!r}, dataset={facts!r}, patch_size=16, progress=False)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that is preparing ``set``, and has written its patches but not moved them in."""
    source, written = _rois(tmp_path / "raw"), tmp_path / "written"
    script = SCRIPT.format(
        bundle=str(BUNDLE_ROOT), signal=str(written), source=str(source), target=str(tmp_path / "set"), facts=FACTS.to_dict()
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while not written.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def _prepare(tmp_path, **settings):
    settings = {"dataset": FACTS.to_dict(), "patch_size": 16, "progress": False, **settings}
    return prepare(tmp_path / "raw", tmp_path / "set", **settings)


def test_two_at_once_and_a_kill(tmp_path, other):
    """The second one ends with one line and harms nothing; after a kill of the first it does the work, without litter."""
    (held,) = (tmp_path / "set").glob(".preparing-*")
    with pytest.raises(BlockingIOError) as error:
        _prepare(tmp_path)
    message = str(error.value)
    assert f"process {other.pid} " in message and str(tmp_path / "set") in message and "\n" not in message
    assert len(list(held.rglob("*.png"))) == 2 * (4 * 9 + 2)
    other.send_signal(signal.SIGKILL)
    other.wait()
    _prepare(tmp_path)
    assert sorted(p.name for p in (tmp_path / "set").iterdir() if p.name.startswith(".")) == [".file_states.json"]
    assert len(read_datalist(tmp_path / "set", "training")) == 4 * 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["raw", "set", "written"]


def test_the_set_of_before_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    _rois(tmp_path / "raw")
    _prepare(tmp_path)
    before = {p: p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file()}
    module = importlib.import_module("scripts.data.prepare")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_datalist", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _prepare(tmp_path, seed=1, overwrite=True)
    assert {p: p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file()} == before
    (tmp_path / "set/notes.txt").write_text("a user's own")
    _prepare(tmp_path, seed=1, overwrite=True)
    assert (tmp_path / "set/notes.txt").exists()
    assert {Path(e["image"]).name for e in read_datalist(tmp_path / "set", "training")} == {
        p.name for p in (tmp_path / "set/train").iterdir()
    }


def test_regions_are_not_written_over_a_folder_of_ones_own(tmp_path):
    """A source is never its own target's victim."""
    _rois(tmp_path / "raw")
    (tmp_path / "raw/train").mkdir()
    (tmp_path / "raw/train/mine.png").touch()
    with pytest.raises(FileExistsError, match="holds 'train', which prepare has not made"):
        prepare(tmp_path / "raw", tmp_path / "raw", dataset=FACTS.to_dict(), patch_size=16, progress=False)
    (tmp_path / "raw/train/mine.png").unlink()
    (tmp_path / "raw/train").rmdir()
    prepare(tmp_path / "raw", tmp_path / "raw", dataset=FACTS.to_dict(), patch_size=16, progress=False)
    assert len(list((tmp_path / "raw/images").iterdir())) == 6 and read_datalist(tmp_path / "raw", "training")
