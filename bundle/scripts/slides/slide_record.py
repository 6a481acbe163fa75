"""The record of a slide, ``<name>.json``: finished or not and from what, how often started, what went wrong."""

from __future__ import annotations

import errno
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.atomic import discard_unfinished, write_json
from ..core.errors import message
from ..core.lock import locked
from ..core.paths import shown
from .slide_files import slide_state

if TYPE_CHECKING:
    from .cohort_inputs import SlideTask

__all__ = ["Outcome", "is_finished", "is_of", "read_record", "record_path", "work_on"]

#: Starts of a slide, in one run, that end with its process and get no further, until it is given up.
MOST_STARTS = 3

_BETWEEN = 2.0  # s between two notes of how far a slide is


@dataclass(frozen=True)
class Outcome:
    """What became of a slide.

    Args:
        name: the slide's.
        state: ``"finished"``, ``"before"`` (by an earlier run, or another process), ``"in work"`` (by another process),
            ``"later"`` (its process died once; others go first), ``"failed"``, ``"given up"`` or ``"disk full"``.
        line: what is wrong, in one line.
        result: what the segmentation gave.
    """

    name: str
    state: str
    line: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


def record_path(folder: str | Path, name: str) -> Path:
    """File of a slide's record."""
    return Path(folder) / f"{name}.json"


def read_record(folder: str | Path, name: str) -> dict[str, Any]:
    """A slide's record; ``{}`` if there is none, or none of ours."""
    try:
        record = json.loads(record_path(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(record, dict) and all(isinstance(record.get(k), str) for k in ("slide", "state", "made_from"))
    return record if known else {}


def is_of(record: Mapping[str, Any], path: str | Path) -> bool:
    """Whether a record is that of a slide, where it lies now or lay before it was moved."""
    if record["slide"] == _place(path):
        return True
    moved = os.path.basename(record["slide"]) == shown(Path(path).name) and not os.path.exists(record["slide"])
    with suppress(OSError):
        return moved and record["made_from"].partition(" ns")[0] == slide_state(path).partition(" ns")[0]
    return False


def is_finished(task: SlideTask, folder: str | Path, fingerprint: str) -> bool:
    """Whether a slide has been segmented with these networks and settings, and its outputs are there."""
    record = read_record(folder, task.name)
    if record.get("state") != "finished" or record.get("fingerprint") != fingerprint:
        return False
    with suppress(OSError, AttributeError):
        outputs = record["result"].get("outputs", [])
        there = all((Path(folder) / name).exists() for name in outputs)
        return there and record["made_from"] == slide_state(task.path, task.mpp)
    return False


def work_on(
    task: SlideTask,
    segment: Callable[[SlideTask, Path, Callable[[float], None]], Mapping[str, Any]],
    folder: str | Path,
    fingerprint: str = "",
    report: Callable[[float], None] | None = None,
    run: str | None = None,
    again: bool = True,
) -> Outcome:
    """Segment a slide, unless it is finished or another process does it; note in its record what becomes of it.

    Args:
        task: the slide.
        segment: segments it into the folder and gives what is to be known: ``areas`` (as ``core.pictures.class_areas``),
            ``outputs`` (names in the folder), and other numbers and texts for the table. It is given a function to call with
            the tissue in mm² that is done of this slide, from its start, whoever has done it.
        folder: output folder.
        fingerprint: identifies networks and settings.
        report: called with the mm² done.
        run: if given, starts are counted within this run, and the slide is given up after :data:`MOST_STARTS` that got no
            further; else over all runs, and it is never given up.
        again: whether a slide whose process died in this run is started; else it is left for later.

    Returns:
        What became of it. No ``Exception`` leaves; what stops the process does.
    """
    try:
        with locked(Path(folder) / f".{task.name}.lock", "a cohort"):
            return _held(task, segment, Path(folder), fingerprint, report, run, again)
    except BlockingIOError as error:
        who = str(error).partition("in use by ")[2].partition(", by the lock")[0] or "another process"
        return Outcome(task.name, "in work", f"{shown(task.path)}: in work by {who}")
    except Exception as error:
        return _failed(task, error)


def _held(task, segment, folder, fingerprint, report, run, again) -> Outcome:
    before = read_record(folder, task.name)
    if is_finished(task, folder, fingerprint):
        # a result that its worker took along is asked for again
        return Outcome(task.name, "finished" if run and before.get("run") == run else "before", "", before["result"])
    record = {
        "slide": _place(task.path),
        "state": "started",
        "made_from": slide_state(task.path, task.mpp),
        "fingerprint": fingerprint,
        "run": run,
        "starts": 0,
        "reached_mm2": 0.0,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    same = all(before.get(key) == record[key] for key in ("state", "made_from", "fingerprint"))
    if same:  # its process was killed
        record["reached_mm2"] = float(before.get("reached_mm2") or 0)
        record["starts"] = int(before.get("starts") or 0) if run is None or before.get("run") == run else 0
        discard_unfinished(record_path(folder, task.name))
    if run is not None and record["starts"] >= MOST_STARTS:
        line = f"{shown(task.path)}: given up, as its process died at each of {record['starts']} starts (out of memory?)"
        _write(folder, task, {**record, "state": "given up", "error": line})
        return Outcome(task.name, "given up", line)
    if run is not None and record["starts"] and not again:
        return Outcome(task.name, "later")
    record["starts"] += 1
    _write(folder, task, record)
    began = time.monotonic()
    try:
        result = dict(segment(task, folder, _Reached(folder, task, record, report)))
        done = {key: value for key, value in record.items() if key not in ("starts", "reached_mm2", "since")}
        _write(folder, task, {**done, "state": "finished", "seconds": round(time.monotonic() - began, 1), "result": result})
    except Exception as error:
        failed = _failed(task, error)
        ours = message(error) is None
        kept = {"traceback": "".join(traceback.format_exception(error))} if ours else {}
        with suppress(OSError):
            _write(folder, task, {**record, "state": "failed", "starts": 0, "error": failed.line, **kept})
        return failed
    return Outcome(task.name, "finished", "", result)


class _Reached:
    """Passes on how far a slide is, and notes it: a slide that gets further at each start is not given up."""

    def __init__(
        self, folder: Path, task: SlideTask, record: dict[str, Any], report: Callable[[float], None] | None
    ) -> None:
        self.folder, self.task, self.record, self.report = folder, task, record, report
        self.noted = -_BETWEEN

    def __call__(self, mm2: float) -> None:
        if self.report is not None:
            self.report(mm2)
        if mm2 > self.record["reached_mm2"] and time.monotonic() - self.noted >= _BETWEEN:
            self.record.update(reached_mm2=float(mm2), starts=1)
            self.noted = time.monotonic()
            _write(self.folder, self.task, self.record)


def _failed(task: SlideTask, error: Exception) -> Outcome:
    said = message(error) or f"{type(error).__name__}: {error} (a fault of this program, or of a file of your own)"
    line = " ".join(said.split())
    if shown(task.path) not in line:
        line = f"{shown(task.path)}: {line}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return Outcome(task.name, "disk full", line)
        cause = cause.__cause__ or cause.__context__
    return Outcome(task.name, "failed", line)


def _write(folder: Path, task: SlideTask, record: Mapping[str, Any]) -> None:
    write_json(record_path(folder, task.name), record)


def _place(path: str | Path) -> str:
    return shown(os.path.abspath(path))
