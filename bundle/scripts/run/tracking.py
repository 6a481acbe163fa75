"""MLflow: one parent run per pipeline, a child per stage, in a SQLite file in the output folder by default."""

from __future__ import annotations

import atexit
import logging
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.handlers import MLFlowHandler
from monai.utils import path_to_sqlite_uri

__all__ = ["StageMLFlowHandler", "Tracker", "tracking_uri"]

logger = logging.getLogger(__name__)


def tracking_uri(output_dir: str | Path) -> str:
    """``MLFLOW_TRACKING_URI`` if set, else ``<output_dir>/mlruns.db``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or path_to_sqlite_uri(str(Path(output_dir).absolute() / "mlruns.db"))


class Tracker:
    """A tracked run that survives the process: it is opened again by its id, and closed once its work is done.

    Args:
        output_dir: folder of the whole run; holds ``mlruns.db`` and ``mlruns/`` unless ``MLFLOW_TRACKING_URI`` is set.
        experiment: experiment name, created where absent.
        run_name: name of the run.
        parent_run: id of the run that this one is a part of.
    """

    def __init__(self, output_dir: str | Path, experiment: str, run_name: str, parent_run: str | None = None) -> None:
        self.output_dir = Path(output_dir).absolute()
        self.experiment = experiment
        self.run_name = run_name
        self.parent_run = parent_run
        self.run_id: str | None = None
        self._handler: MLFlowHandler | None = None

    @property
    def handler(self) -> MLFlowHandler:
        """MONAI's handler for this run; it owns the client, the experiment and the place of its artifacts."""
        if self._handler is None:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            self._handler = MLFlowHandler(
                tracking_uri=tracking_uri(self.output_dir), experiment_name=self.experiment, run_name=self.run_name
            )
            self._handler._set_experiment()
        return self._handler

    def open(self, run_id: str | None = None) -> str:
        """Continue the run ``run_id`` if it is there, else start one; return its id. Open runs are left as they are."""
        if self.run_id is None:
            client = self.handler.client
            if run_id is not None:
                try:
                    client.get_run(run_id)
                    client.update_run(run_id, status="RUNNING")
                except Exception:  # any store, any reason: the record then names a run that this store lacks
                    logger.warning("tracked run %s is not in %s; starting a new one", run_id, client.tracking_uri)
                    run_id = None
            if run_id is None:
                tags = {"mlflow.parentRunId": self.parent_run} if self.parent_run else {}
                run = client.create_run(self.handler.experiment.experiment_id, run_name=self.run_name, tags=tags)
                run_id = run.info.run_id
            self.run_id = run_id
            self.handler.cur_run = client.get_run(run_id)
            atexit.register(self._abandon)
        return self.run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; those logged by an earlier, interrupted start are kept."""
        known = self.handler.client.get_run(self.run_id).data.params
        fresh = {k.replace("#", "."): str(v)[:6000] for k, v in params.items() if k.replace("#", ".") not in known}
        for start in range(0, len(fresh), 100):
            self.handler._log_params(dict(list(fresh.items())[start : start + 100]))

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Log the finite numbers of a nested mapping as ``outer.inner``."""
        found = {}
        stack = [("", metrics)]
        while stack:
            prefix, mapping = stack.pop()
            for key, value in mapping.items():
                name = f"{prefix}{_safe(key)}"
                if isinstance(value, Mapping):
                    stack.append((f"{name}.", value))
                elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                    found[name] = float(value)
        if found:
            self.handler._log_metrics(found, step)

    def log_artifacts(self, paths: Iterable[str | Path]) -> None:
        """Copy files into the run."""
        for path in paths:
            self.handler.client.log_artifact(self.run_id, str(path))

    def close(self) -> None:
        """Mark the run finished."""
        if self.run_id is not None:
            self.handler.close()
            atexit.unregister(self._abandon)
            self.run_id = None

    def _abandon(self) -> None:
        if self.run_id is not None:
            self.handler.client.set_terminated(self.run_id, "KILLED")


class StageMLFlowHandler(MLFlowHandler):
    """MONAI's handler, writing into a stage's run, each metric under a prefix, at the trainer's epoch.

    Args:
        stage: the :class:`~.stage.Stage`; its run must be open when the engine starts.
        prefix: put before each metric name, such as ``"val_"``.
        trainer: engine whose epoch counts; the attached engine's own by default.
        kwargs: further arguments of MONAI's handler.
    """

    def __init__(self, stage: Any, prefix: str = "", trainer: Engine | None = None, **kwargs: Any) -> None:
        tracker = stage.tracker
        kwargs.setdefault("iteration_log", False)
        super().__init__(
            tracking_uri=tracking_uri(tracker.output_dir),
            experiment_name=tracker.experiment,
            run_name=tracker.run_name,
            **kwargs,
        )
        self.stage = stage
        self.prefix = prefix
        self.trainer = trainer

    def start(self, engine: Engine) -> None:
        """Write into the stage's run from now on."""
        self.cur_run = self.client.get_run(self.stage.tracker.open())
        super().start(engine)

    def _default_epoch_log(self, engine: Engine) -> None:
        step = (self.trainer or engine).state.epoch
        metrics = {f"{self.prefix}{_safe(k)}": v for k, v in engine.state.metrics.items() if isinstance(v, (int, float))}
        if metrics:
            self._log_metrics(metrics, step)


def _safe(name: Any) -> str:
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in str(name))
