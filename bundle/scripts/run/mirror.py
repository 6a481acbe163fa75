"""MLflow's copy of the journals of a run folder."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from monai.handlers import MLFlowHandler
from urllib3.exceptions import HTTPError

from .journal import JournalRun, read_journal
from .tracking_store import artifact_root, prepare_store, sqlite_uri, store_file

__all__ = ["Mirror", "tracking_uri", "why", "without_passwords"]

logger = logging.getLogger(__name__)

# tags of an MLflow run: the journal's run that it is a copy of, and how many of its entries have been copied
_RUN, _COPIED = "journal.run", "journal.copied"
# MLflow by itself asks a server that does not answer seven times, for two minutes each, and prints what it does
_IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_QUIET = {"alembic": logging.WARNING, "mlflow": logging.CRITICAL, "urllib3.connectionpool": logging.ERROR}


def tracking_uri(output_dir: str | Path) -> str:
    """``MLFLOW_TRACKING_URI`` if set, else ``<output_dir>/mlruns.db``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(Path(output_dir) / "mlruns.db")


def without_passwords(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return re.sub(r"(?<=//)[^/@\s]*@", "***@", text)


def why(error: BaseException) -> str:
    """What is wrong, in one line: of errors that wrap each other, what the system, the database or the network said."""
    said = error
    while error is not None:
        if isinstance(error, (OSError, sqlite3.Error, HTTPError)) and str(error):
            said = error
        error = error.__cause__ or error.__context__
    return textwrap.shorten(without_passwords(str(said)).rstrip(". \n") or type(said).__name__, 300)


@dataclass
class _Copy:
    """An MLflow run: its id and place, how many entries it has, and its parameters, which MLflow does not let change."""

    run_id: str
    artifacts: str
    entries: int
    params: set[str]


class Mirror:
    """Copies the journals of a run folder to MLflow, each entry once, whoever copied those before.

    Args:
        output_dir: folder of the run.
        uri: of MLflow; that of :func:`tracking_uri` by default.
    """

    def __init__(self, output_dir: str | Path, uri: str | None = None) -> None:
        self.output_dir = Path(output_dir).absolute()
        self.uri = uri or tracking_uri(self.output_dir)
        self._own = self.uri == sqlite_uri(self.output_dir / "mlruns.db")
        self._handlers: dict[str, MLFlowHandler] = {}
        self._copies: dict[str, _Copy] = {}
        for name, value in _IMPATIENT.items():
            os.environ.setdefault(name, value)
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)

    def prepare(self) -> Path | None:
        """See to a store that is a file, see :func:`~.tracking_store.prepare_store`.

        Returns:
            The new name of a store that was damaged; else ``None``.
        """
        store = store_file(self.uri)
        if store is None:
            return None
        before = _file(store)
        damaged = prepare_store(store, self._own)
        if _file(store) != before:  # a new one, which has none of the runs that were found in the old
            self.close()
            self._handlers.clear()
            self._copies.clear()
        return damaged

    def __str__(self) -> str:
        named = " (MLFLOW_TRACKING_URI)" if self.uri == os.environ.get("MLFLOW_TRACKING_URI") else ""
        return f"MLflow at {without_passwords(self.uri)}{named}"

    def find(self, folder: str | Path, key: str) -> str | None:
        """Id of the MLflow run of a stage's run; it is started if there is none."""
        for run in read_journal(folder):
            if run.key == key:
                self._copy_of(run)
        return self.run_id(key)

    def copy(self, folder: str | Path, key: str | None = None) -> int:
        """Copy what MLflow lacks of a stage's runs, or of that with ``key``; say how many entries it was."""
        count = 0
        for run in read_journal(folder):
            if key in (None, run.key):
                copy = self._copy_of(run)
                client = self.client(run.header["experiment"])
                for entry in run.entries[copy.entries :]:
                    self._add(client, copy, entry)
                    count += 1
        return count

    def run_id(self, key: str | None) -> str | None:
        """Id of the MLflow run of a journal's run that was copied."""
        copy = self._copies.get(key)
        return copy.run_id if copy else None

    def client(self, experiment: str) -> MlflowClient:
        """MLflow's client, of an experiment's store."""
        return self._handler(experiment).client

    def close(self) -> None:
        """Let go of SQLite files; they are opened again when needed."""
        for handler in list(self._handlers.values()):
            handler._dispose_sqlite_store()

    def _handler(self, experiment: str) -> MLFlowHandler:
        """MONAI's handler: it owns the client, the experiment and the place of its artifacts."""
        if experiment not in self._handlers:
            store = store_file(self.uri)
            place = artifact_root(store) if store else None  # MONAI's own does not know blanks in paths
            handler = MLFlowHandler(self.uri, experiment_name=experiment, artifact_location=place)
            handler._set_experiment()
            self._handlers[experiment] = handler
        return self._handlers[experiment]

    def _copy_of(self, run: JournalRun) -> _Copy:
        if run.key not in self._copies:
            handler = self._handler(run.header["experiment"])
            self._copies[run.key] = self._found(handler, run) or self._created(handler, run)
        return self._copies[run.key]

    def _found(self, handler: MLFlowHandler, run: JournalRun) -> _Copy | None:
        client, older = handler.client, run.header.get("mlflow_run")
        found = client.search_runs([handler.experiment.experiment_id], f"tags.`{_RUN}` = '{run.key}'")
        if not found and older:
            try:
                found = [client.get_run(older)]
            except Exception as error:  # any store has its own way to say that it has no such run
                logger.debug("no MLflow run %s: %s", older, error)
                return None
            client.log_batch(older, tags=[RunTag(_RUN, run.key), RunTag(_COPIED, "0")])
            found[0].data.tags.pop(_COPIED, None)
        if not found:
            return None
        info, data = found[0].info, found[0].data
        return _Copy(info.run_id, info.artifact_uri, int(data.tags.get(_COPIED, 0)), set(data.params))

    def _created(self, handler: MLFlowHandler, run: JournalRun) -> _Copy:
        header, tags = run.header, {_RUN: run.key, **(run.header.get("tags") or {})}
        if parent := self._parent(header.get("parent") or {}):
            tags["mlflow.parentRunId"] = parent
        experiment = handler.experiment.experiment_id
        name = header.get("title") or header["name"]
        made = handler.client.create_run(experiment, start_time=header["time"], tags=tags, run_name=name)
        return _Copy(made.info.run_id, made.info.artifact_uri, 0, set())

    def _parent(self, parent: Mapping[str, str]) -> str | None:
        if "stage" in parent:
            return self.find(self.output_dir / parent["stage"], parent["run"])
        return parent.get("mlflow_run")

    def _add(self, client: Any, copy: _Copy, entry: Mapping[str, Any]) -> None:
        metrics = [Metric(k, v, entry["time"], entry.get("step", 0)) for k, v in entry.get("metrics", {}).items()]
        params = {k: v for k, v in entry.get("params", {}).items() if k not in copy.params}
        if "file" in entry and (path := self.output_dir / entry["file"]).is_file():
            # not by the client, which remembers where a run lay before its folder was moved
            get_artifact_repository(copy.artifacts, tracking_uri=self.uri).log_artifact(str(path))
        if "state" in entry:
            status = RunStatus.from_string(entry["state"])
            if RunStatus.is_terminated(status):
                client.set_terminated(copy.run_id, entry["state"], entry["time"])
            else:
                client.update_run(copy.run_id, entry["state"])
        # MLflow takes a metric of the same time but once: nothing counts twice if this is interrupted before the tag is set
        tags = [RunTag(_COPIED, str(copy.entries + 1))]
        client.log_batch(copy.run_id, metrics, [Param(k, v) for k, v in params.items()], tags)
        copy.params |= set(params)
        copy.entries += 1


def _file(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None
