"""What every benchmark shares: alternating measurement, a table, and a JSON record that says where it was made."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from scripts.core.environment import environment

__all__ = ["alternate", "print_table", "record", "sync"]


def sync(device: torch.device) -> None:
    """Wait until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, device: torch.device, warm_up: Sequence[str] = ()
) -> dict[str, list[float]]:
    """Seconds per call, contestants in turn (A/B/A/B), so that a noisy machine is noisy for all of them.

    Args:
        contestants: name to function without arguments.
        rounds: number of turns of each.
        device: waited for before and after each call.
        warm_up: names that are called once before, unmeasured.
    """
    for name in warm_up:
        contestants[name]()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, function in contestants.items():
            sync(device)
            start = time.perf_counter()
            function()
            sync(device)
            seconds[name].append(time.perf_counter() - start)
            print(f"  {name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    return seconds


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as an aligned table."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    for number, row in enumerate(cells):
        print("  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))))
        if number == 0:
            print("  ".join("-" * w for w in widths))


def record(path: str | Path, name: str, settings: Mapping[str, Any], results: Any, device: torch.device) -> None:
    """Write settings and results as JSON, with machine, versions and commit."""
    machine = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    content = {
        "benchmark": name, "settings": dict(settings), "results": results, "machine": machine,
        "environment": environment(), "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    print(f"record: {path}")


def median_rate(seconds: Sequence[float], items: int) -> float:
    """Items per second of the median call."""
    return items / statistics.median(seconds)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
