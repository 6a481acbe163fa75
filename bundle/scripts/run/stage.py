"""One stage of the flow: its folder, its record, its seed, and whether it still has to be done."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from monai.data import set_track_meta
from monai.utils import set_determinism

from ..core.atomic import discard_unfinished, write_json, write_text
from ..core.environment import environment
from ..core.settings import plain, running_config, scalars
from .record import RECORD, carried, fingerprint, read_record
from .tracking import StageMLFlowHandler, Tracker

__all__ = ["Stage"]


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
        self.key = str(key)
        self.config = plain(config if config is not None else running_config())
        own = self.config.get("own") or []  # what is in one's own files decides, not where they are
        self.inputs = [Path(p) for p in (*inputs, *([own] if isinstance(own, str) else own))]
        self.tracker = Tracker(output_dir, experiment=experiment, run_name=name, parent_run=parent_run)
        self.fingerprint = ""
        self.resumes = False
        self._carried: Mapping[str, Any] | None = None
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
        record = read_record(self.folder)
        self._carried = carried(record, self.config)
        self.fingerprint = self._fingerprint(record)
        self.resumes = record.get("fingerprint") == self.fingerprint
        if record and not self.resumes:
            for path in self.folder.glob("last.pt"):
                path.unlink()  # belongs to another configuration
        self._started = time.monotonic()
        self._seconds_before = float(record.get("seconds", 0.0)) if self.resumes else 0.0
        self._record("running", self.tracker.open(record.get("run_id") if self.resumes else None, self.resumes))
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
        return record.get("state") == "finished" and record.get("fingerprint") == self._fingerprint(record)

    def _fingerprint(self, record: Mapping[str, Any]) -> str:
        """That of this stage; that of the record where it was made by version 0.4 from the same."""
        same = carried(record, self.config) is not None
        return record["fingerprint"] if same else fingerprint(self.config, self.inputs, self.key)

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
        content = {
            "stage": self.name,
            "state": state,
            "fingerprint": self.fingerprint,
            "run_id": run_id,
            "seconds": round(self._seconds_before + time.monotonic() - self._started, 1),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        if self._carried is not None:
            content["carried"] = self._carried
        write_json(self.folder / RECORD, content)


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
