"""One stage of the flow: its folder, its record, its seed, and whether it still has to be done."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from monai.data import set_track_meta
from monai.utils import set_determinism

from ..core.atomic import discard_unfinished, write_json, write_text
from ..core.digest import file_sha256
from ..core.environment import environment
from ..core.settings import plain, refuse_json_words, running_config, scalars
from .tracking import StageMLFlowHandler, Tracker

__all__ = ["Stage"]

_RECORD = "stage.json"
# settings that say where and how loudly a stage runs, not what it computes
_WHERE = {"output_dir", "model_dir", "dataset_dir", "bundle_root", "parent_run", "experiment", "progress"}


class Stage:
    """Folder ``<output_dir>/<name>`` of a stage, which says of itself what ran, with what, and whether it finished.

    The folder holds ``config.yaml`` (the configuration as run, overrides included), ``environment.json`` (seed, package
    versions, machine, git commit) and ``stage.json`` (state, fingerprint, seconds). The fingerprint covers the configuration
    and the content of the input files: a later run with the same fingerprint continues; with another, starts anew.

    Args:
        name: name of the stage and of its folder.
        output_dir: folder of the whole run.
        seed: seed of every random number generator.
        inputs: files whose content the stage depends on; absent ones are refused when it starts.
        key: further values that the fingerprint covers.
        config: configuration to record; that of the running MONAI workflow by default.
        experiment: MLflow experiment.
        parent_run: MLflow run id of the pipeline that this stage is part of.

    Raises:
        ValueError: a setting is the text ``false``, ``true`` or ``null``.
    """

    def __init__(
        self,
        name: str,
        output_dir: str,
        seed: int = 0,
        inputs: Sequence[str] = (),
        key: Any = None,
        config: Mapping[str, Any] | None = None,
        experiment: str = "tissue-segmentation",
        parent_run: str | None = None,
    ) -> None:
        self.name = name
        self.folder = Path(output_dir).absolute() / name
        self.seed = int(seed)
        self.inputs = [Path(p) for p in inputs]
        self.key = str(key)
        self.config = plain(config if config is not None else running_config())
        refuse_json_words(self.config)
        self.tracker = Tracker(output_dir, experiment=experiment, run_name=name, parent_run=parent_run)
        self.fingerprint = ""
        self.resumes = False
        self._started = time.monotonic()
        self._seconds_before = 0.0
        # before any network is built from this configuration
        set_determinism(self.seed)
        # every image is a plain tensor here: metadata would cost several milliseconds per patch and serve nobody
        set_track_meta(False)

    def start(self) -> Stage:
        """Seed everything, record configuration and environment, open the tracked run.

        Raises:
            FileNotFoundError: an input is absent.
            PermissionError: the folder cannot be written.
        """
        for path in self.inputs:
            if not path.is_file():
                raise FileNotFoundError(f"stage {self.name!r} needs {path}, which does not exist: run the stage before")
        make_folder(self.folder)
        discard_unfinished(self.folder)
        self.fingerprint = fingerprint(self.config, self.inputs, self.key)
        record = read_record(self.folder)
        self.resumes = record.get("fingerprint") == self.fingerprint
        if record and not self.resumes:
            for path in self.folder.glob("last.pt"):
                path.unlink()  # belongs to another configuration
        self._started = time.monotonic()
        self._seconds_before = float(record.get("seconds", 0.0)) if self.resumes else 0.0
        self._record("running", self.tracker.open(record.get("run_id") if self.resumes else None))
        write_text(self.folder / "config.yaml", yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        details = environment(self.seed)
        write_json(self.folder / "environment.json", details)
        self.tracker.log_params({**scalars(self.config), **{f"environment.{k}": v for k, v in scalars(details).items()}})
        self.tracker.log_artifacts([self.folder / "config.yaml", self.folder / "environment.json"])
        set_determinism(self.seed)
        return self

    def finished(self) -> bool:
        """Whether the stage was finished before with this configuration and these input files."""
        record = read_record(self.folder)
        return record.get("state") == "finished" and record.get("fingerprint") == fingerprint(
            self.config, self.inputs, self.key
        )

    def finish(self, metrics: Mapping[str, Any] | None = None, artifacts: Sequence[str | Path] = ()) -> None:
        """Mark the stage finished, and close the tracked run with its last figures and files.

        Args:
            metrics: figures; nested mappings are flattened, anything but numbers is left out.
            artifacts: files to track (pictures, reports); absent ones are left out.
        """
        self.tracker.log_metrics(metrics or {})
        self.tracker.log_artifacts([p for p in map(Path, artifacts) if p.is_file()])
        run_id = self.tracker.run_id
        self.tracker.close()
        self._record("finished", run_id)

    def save_time(self) -> None:
        """Record the time so far, which would otherwise be lost if the process were killed."""
        self._record("running", self.tracker.run_id)

    def mlflow_handler(self, prefix: str = "") -> StageMLFlowHandler:
        """A handler that logs an engine's metrics into the stage's tracked run, each under a prefix."""
        return StageMLFlowHandler(self, prefix)

    def _record(self, state: str, run_id: str | None) -> None:
        write_json(
            self.folder / _RECORD,
            {
                "stage": self.name,
                "state": state,
                "fingerprint": self.fingerprint,
                "run_id": run_id,
                "seconds": round(self._seconds_before + time.monotonic() - self._started, 1),
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            },
        )


def fingerprint(config: Mapping[str, Any], inputs: Sequence[str | Path], key: str = "") -> str:
    """SHA-256 over what a configuration computes, the content of its input files, and a key."""
    digest = hashlib.sha256()
    relevant = {k: v for k, v in config.items() if k not in _WHERE}
    digest.update(json.dumps([relevant, key], sort_keys=True, default=str).encode())
    for path in map(Path, inputs):
        digest.update(bytes.fromhex(file_sha256(path)) if path.is_file() else b"absent")
    return digest.hexdigest()


def read_record(folder: Path) -> dict[str, Any]:
    """Content of a stage's record; empty where there is none, or none that can be read."""
    try:
        return json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def make_folder(folder: str | Path) -> Path:
    """Create a folder, and refuse one that cannot be written.

    Raises:
        PermissionError: with the folder's name and what to do.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(f"cannot write to {folder}: {error.strerror}; choose another output folder") from error
    return folder
