"""The machine: where networks run, on how many threads, in how much memory, and where results go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from ..core.devices import known_devices
from ..core.precision import prefers_bfloat16
from ..core.threads import available_threads
from .finding import DIFFERS, MISSING, OK, Finding

__all__ = ["machine"]

# bytes: the most that the pseudo masks of the paper's networks have taken, and what a run of the demo writes ten times over
_MEMORY, _DISK = 4.5e9, 1e9


def machine(output_dir: str | Path) -> list[Finding]:
    """A line for devices, threads, memory, and the place of the results.

    Args:
        output_dir: where results are to go; it need not be there.
    """
    return [*_devices(), _threads(), _memory(), _disk(Path(output_dir).absolute())]


def _devices() -> list[Finding]:
    names = known_devices()
    bfloat16 = [name for name in names if prefers_bfloat16(name)]
    found = f"{', '.join(names)}; bfloat16 in hardware: {', '.join(bfloat16) or 'none'}"
    advice = "" if len(names) > 1 else "training is faster on a GPU: it needs its driver, and a build of PyTorch for it"
    return [Finding("devices", OK, found, advice)]


def _threads() -> Finding:
    may, asked = available_threads(), os.environ.get("OMP_NUM_THREADS")
    found = f"{may} at once, OMP_NUM_THREADS {asked or 'not set'}, PyTorch uses {torch.get_num_threads()}"
    if asked and asked.isdigit() and int(asked) > may:
        return Finding("threads", DIFFERS, found, f"set OMP_NUM_THREADS to {may}: more of them wait for each other")
    return Finding("threads", OK, found)


def _memory() -> Finding:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return Finding("memory", DIFFERS, "this system does not say how much there is")
    found = f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it free"
    if total < _MEMORY:
        return Finding("memory", DIFFERS, found, "set a smaller batch_size and cache_num: the largest networks take 4.5 GB")
    return Finding("memory", OK, found)


def _disk(output: Path) -> Finding:
    there = next(p for p in (output, *output.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding("output_dir", MISSING, f"{there} cannot be written", "name another output_dir")
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB free at {output}"
    return Finding("output_dir", OK, found) if free >= _DISK else Finding("output_dir", DIFFERS, found, "free some space")
