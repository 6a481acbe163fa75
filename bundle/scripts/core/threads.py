"""How many threads computing takes: as many as the process may use, or as many as it is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

__all__ = ["available_threads", "set_threads"]


def set_threads(count: int | None = None) -> int:
    """Set the number of threads that networks run on, in this process.

    Args:
        count: number of threads; ``None``: that of ``OMP_NUM_THREADS`` where it is set, else PyTorch's own, but no more than
            the process may use.

    Returns:
        The number in force.

    Raises:
        ValueError: not a whole number of at least 1.
    """
    if count is None:
        if not os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(min(torch.get_num_threads(), available_threads()))
    elif isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"threads: found {count!r}, expected a whole number of at least 1, or None")
    else:
        torch.set_num_threads(count)
        with suppress(RuntimeError):  # can be set once, before anything runs on them
            torch.set_num_interop_threads(count)
    return torch.get_num_threads()


def available_threads(root: str | Path = "/") -> int:
    """Threads that can run at once for this process: its CPU affinity, and the CPU quota of its control groups.

    A quota of 2.5 processors makes 2, as a third thread would make all wait for it half of the time.

    Args:
        root: where ``/proc`` and ``/sys`` are.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([count, *(int(quota) for quota in _quotas(Path(root)))]))


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas, in processors, of the control groups (version 1 or 2) that the process is in, inner and outer ones."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        for mount in (".",) if not controllers else (controllers, "cpu"):
            folder = root / "sys/fs/cgroup" / mount
            # in a container the group may be one of the host, of which only the top is mounted
            inner = folder.joinpath(*Path(group).parts[1:])
            for place in {inner, *inner.parents}:
                if place == folder or folder in place.parents:
                    yield from _quota(place)


def _quota(folder: Path) -> Iterator[float]:
    """The quota of one control group, if it has one."""
    with suppress(OSError, ValueError):
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()[:2]
        else:
            quota, period = ((folder / f"cpu.cfs_{k}_us").read_text(encoding="utf-8") for k in ("quota", "period"))
        if quota != "max" and float(quota) > 0 and float(period) > 0:
            yield float(quota) / float(period)
