"""Slides and segmentation as cohorts see them: files with a word of what becomes of each."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.core.atomic import write_text
from scripts.slides.cohort_inputs import SlideTask


def write_slides(folder: Path, **words: str) -> Path:
    """``<name>.svs`` that hold a word each, ``good`` where none is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, word in words.items():
        (folder / f"{name}.svs").write_text(word, encoding="utf-8")
    return folder


def segment(task: SlideTask, folder: Path, report: Callable[[float], None]) -> dict[str, Any]:
    """Write ``<name>.txt`` in some steps; noted is who began it, in ``starts/<name>``."""
    word = task.path.read_text(encoding="utf-8")
    (folder / "starts").mkdir(exist_ok=True)
    with (folder / "starts" / task.name).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    report(0.5)
    if word == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "broken":
        raise ValueError(f"{task.path}: not a slide")
    if word == "fault":
        raise KeyError("something of our own")
    if word == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / f"{task.name}.txt"))
    if word.startswith("slow"):
        end = time.monotonic() + float(word.removeprefix("slow "))
        while time.monotonic() < end and not (folder / "go").exists():
            time.sleep(0.02)
    report(2.0)
    write_text(folder / f"{task.name}.txt", f"{task.path.name} {task.mpp}\n")
    areas = {"tumour": {"pixels": 3, "percent": 75.0, "mm2": 1.5}, "stroma": {"pixels": 1, "percent": 25.0, "mm2": 0.5}}
    return {"areas": areas, "tissue_mm2": 2.0, "outputs": [f"{task.name}.txt"]}


def made() -> Callable[..., dict[str, Any]]:
    """A ``make_segment`` that is sent as code, as workers do not know this file."""
    import inspect

    source = inspect.getsource(inspect.getmodule(segment))

    def make() -> Callable[..., dict[str, Any]]:
        names: dict[str, Any] = {}
        exec(compile(source, "fake_slides.py", "exec", dont_inherit=True), names)
        return names["segment"]

    return make


def starts(folder: Path) -> dict[str, int]:
    """How often each slide was begun."""
    return {p.name: p.read_text(encoding="utf-8").count("\n") for p in (folder / "starts").iterdir()}
