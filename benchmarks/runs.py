"""Small runs of the bundle that can be killed: started, ended, and compared with one that nobody disturbed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from monai.bundle.scripts import run as bundle_run
from scripts import BUNDLE_ROOT
from scripts.core import errors
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset

__all__ = ["Ended", "Runs"]

SETTINGS = {
    "dataset": DEMO_FACTS.to_dict(), "prepare": {"layout": "luad"}, "progress": False,
    "overrides": {"train_classifier": {"max_epochs": 3, "batch_size": 8}, "train": {"max_epochs": 3, "batch_size": 8}},
}  # fmt: skip
# what ends by itself and says the same every time
RESULTS = (
    "pseudo_masks/*/*.png", "models/*.pt", "*/history.json",
    "evaluate/metrics.json", "evaluate/label_maps/*/*", "inference/*_mask.png", "inference/areas.csv",
)  # fmt: skip
LITTER = (
    "**/.writing-*", "**/.*preparing-*", "**/.prepared-*", "**/.replaced-*", "**/.*lock", "**/*.tmp", "**/.*-making*",
    "**/.*-old*",
)  # fmt: skip


# the first line of the bundle's own log
_OURS = re.compile(r"^\d\d:\d\d:\d\d  ", re.M)


@dataclass
class Ended:
    """How a run ended: its exit code (minus the signal that ended it) and what it said."""

    code: int
    text: str


class Runs:
    """Runs of the bundle on a small drawn dataset.

    Args:
        folder: place of everything.
        seed: seed of the moments.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.tissue = write_demo_dataset(
            folder / "raw", num_train=24, num_val=2, num_test=3, patch_size=48, image_size=96, progress=False
        )
        start = time.monotonic()
        ended = self.wait(self.start("whole"))
        self.seconds = time.monotonic() - start
        if ended.code:
            raise RuntimeError(f"the undisturbed run ended with {ended.code}: {ended.text}")
        self.expected = self.results("whole")

    def commands(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Config files and settings of the pipeline and of an inference, in the run folder ``name``."""
        place = self.folder / name
        models = {"output_dir": str(place / "out"), "model_dir": str(place / "out" / "models")}
        return [
            ("pipeline", {**SETTINGS, **models, "source": str(self.tissue), "dataset_dir": str(place / "set")}),
            ("inference", {**models, "dataset_dir": str(self.tissue / "test" / "img"), "progress": False}),
        ]

    def start(self, name: str, forked: bool = True, environment: Mapping[str, str] | None = None) -> tuple[int, Path]:
        """Start pipeline and inference, or the pipeline in a process that is not forked; return it and its log."""
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        if not forked:
            config, settings = self.commands(name)[0]  # the inference is left to the run that ends it
            words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
            process = subprocess.Popen(
                [sys.executable, "-m", "monai.bundle", "run", f"--config_file={BUNDLE_ROOT}/configs/{config}.yaml", *words],
                stdout=log.open("ab"), stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environment or {}), "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not _OURS.search(log.read_text(errors="replace")):
                time.sleep(0.05)  # until MONAI has been imported, which ends as Python ends
            return process.pid, log
        child = os.fork()
        if child == 0:
            os.setsid()
            os.environ.update(environment or {})
            self._as_command_line(name, log)
        return child, log

    def _as_command_line(self, name: str, log: Path) -> None:
        """In the forked process: what ``python -m monai.bundle run`` does, ending as it does."""
        code = 1
        try:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            os.dup2(1, 2)
            # those of whoever forks may lead elsewhere
            sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False, errors="replace") for n in (1, 2))
            sys.argv = [os.path.join("monai", "bundle", "__main__.py"), "run"]
            errors.install()
            for config, settings in self.commands(name):
                bundle_run(config_file=f"{BUNDLE_ROOT}/configs/{config}.yaml", **settings)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            code = 130 if isinstance(error, KeyboardInterrupt) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, started: tuple[int, Path], after: float | None = None, number: int = 0) -> Ended:
        """Wait for a process; send its group a signal first, ``after`` seconds, if it still runs then."""
        process, log = started
        deadline = time.monotonic() + (after or 0)
        while after is not None and time.monotonic() < deadline:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                return Ended(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))
            time.sleep(0.01)
        if after is not None:
            os.killpg(process, number)
        _, status = os.waitpid(process, 0)
        return Ended(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))

    def results(self, name: str) -> dict[str, str]:
        """Digest of everything that must not depend on interruptions."""
        out = self.folder / name / "out"
        return {
            p.relative_to(out).as_posix(): hashlib.sha256(_content(p)).hexdigest()
            for pattern in RESULTS for p in sorted(out.glob(pattern))
        }  # fmt: skip

    def litter(self, name: str) -> list[str]:
        """What lies in the run's folder and is nobody's."""
        place = self.folder / name
        return sorted({p.relative_to(place).as_posix() for pattern in LITTER for p in place.glob(pattern)})


def _content(path: Path) -> bytes:
    """Bytes of a file; the values of a file of tensors, whose bytes hold names of files."""
    if path.suffix == ".pt":
        state = torch.load(path, map_location="cpu", weights_only=True)
        return b"".join(k.encode() + v.contiguous().numpy().tobytes() for k, v in state.items())
    return path.read_bytes()
