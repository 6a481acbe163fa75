"""Stages in several processes, as torchrun starts them on a machine without GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import BUNDLE_ROOT

TESTS, CONFIGS = Path(__file__).parent, Path(BUNDLE_ROOT) / "configs"


def start(stage: str, settings: Mapping[str, Any], processes: int = 2) -> subprocess.Popen:
    """Start a stage on one thread in each of its processes; networks may be those of ``tiny.py``."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    words += ["-m", "monai.bundle", "run", "--config_file", str(CONFIGS / f"{stage}.yaml"), "--own", str(TESTS / "tiny.py")]
    for key, value in settings.items():
        words += [f"--{key}", value if isinstance(value, str) else repr(value)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(stage: str, settings: Mapping[str, Any], processes: int = 2) -> str:
    """Run a stage to its end, and give what it said."""
    process = start(stage, settings, processes)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said
