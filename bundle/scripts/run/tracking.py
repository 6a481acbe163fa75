"""MLflow: one parent run per pipeline, a child per stage, in a SQLite file in the output folder by default.

What is tracked goes to the stage's journal, and from there to MLflow as long as that is willing.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from posixpath import normpath
from typing import Any

from ..core.paths import BUNDLE_ROOT
from .journal import Journal, JournalRun, read_journal
from .mirror import Mirror, tracking_uri, why
from .patience import Patience

__all__ = ["Tracker", "tracking_uri"]

logger = logging.getLogger(__name__)

# so many figures, and so long texts and names, does MLflow take in one call
_MANY, _LONG, _LONG_NAME = 100, 6000, 240
# s that a run waits for MLflow
_LIMIT = 12.0


class _Live:
    """The mirror of a run folder while this process works in it. Once MLflow has failed, it is not asked again."""

    def __init__(self, output_dir: Path) -> None:
        self.mirror = Mirror(output_dir)
        self.patience = Patience(self._warn, _LIMIT)
        self._later = (
            f"python -m monai.bundle run --config_file {shlex.quote(f'{BUNDLE_ROOT}/configs/track.yaml')} "
            f"--output_dir {shlex.quote(str(output_dir))}"
        )

    def prepare(self) -> None:
        """Before a stage is tracked."""
        if self.patience.lost:
            return
        try:
            damaged = self.mirror.prepare()
        except Exception as error:  # whatever is wrong with the store, the run goes on
            self.patience.lose(error)
        else:
            if damaged:
                text = (
                    "MLflow's store was damaged or half made; it is %s now, and there is a new one. To log what it had: %s"
                )
                logger.warning(text, damaged, self._later)

    def copy(self, folder: Path, key: str) -> None:
        """Bring MLflow's copy of a stage's run up to date, in the background."""
        self.patience.call(self.mirror.copy, folder, key)

    def _warn(self, error: BaseException) -> None:
        text = "%s: %s. The run goes on without it; its figures are kept in %s. To log them later: %s"
        logger.warning(text, self.mirror, why(error), self.mirror.output_dir, self._later)


_lives: dict[tuple[str, Path], _Live] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lives.clear)  # the thread stays with the parent


def _live(output_dir: Path) -> _Live:
    """One for each place, shared by all stages of a process."""
    place = (tracking_uri(output_dir), output_dir)
    if place not in _lives:
        _lives[place] = _Live(output_dir)
    return _lives[place]


class Tracker:
    """A tracked run that survives the process: it is opened again, and closed once its work is done.

    Whatever is tracked is in the stage's journal when a method returns. MLflow gets it in the background; a store that is
    locked, damaged or gone, or a server that does not answer, costs one warning and a wait of less than 15 s.

    Args:
        output_dir: folder of the whole run; holds ``mlruns.db`` and ``mlruns/`` unless ``MLFLOW_TRACKING_URI`` is set.
        experiment: experiment name, created where absent.
        run_name: name of the run, and of the folder in ``output_dir`` that its journal is in.
        parent_run: the run that this one is a part of: another of the same ``output_dir``, by its name, or an MLflow run
            by its id.
    """

    def __init__(self, output_dir: str | Path, experiment: str, run_name: str, parent_run: str | None = None) -> None:
        self.output_dir = Path(output_dir).absolute()
        self.experiment = experiment
        self.run_name = run_name
        self.parent_run = parent_run
        self.journal = Journal(self.output_dir / run_name)
        #: by which the run is found and compared, and its name for people, of a run that is started from now on
        self.tags: Mapping[str, str] = {}
        self.title = ""
        #: id of the MLflow run while it is open; ``None`` where MLflow does without
        self.run_id: str | None = None
        self._key: str | None = None
        self._live: _Live | None = None
        self._params: set[str] = set()
        self._metrics: dict[tuple[str, int], float] = {}

    def open(self, run_id: str | None = None, resumes: bool = False) -> str | None:
        """Continue the latest run of the journal, else start one. Open runs are left as they are.

        Args:
            run_id: MLflow run to continue where there is no journal yet.
            resumes: whether the stage does; a run is started otherwise.

        Returns:
            Its id in MLflow.
        """
        if self._key is None:
            self._live = _live(self.output_dir)
            self._live.prepare()
            try:
                run = self._latest() if resumes or run_id else None
                run = run or self._begun(run_id)
            except OSError as error:  # the journal cannot be read or written
                self._live.patience.lose(error)
                run = JournalRun("", {})
            self._take_up(run)
            if any("state" in e for e in run.entries):
                self._add("state", "RUNNING")
            self._live.patience.call(self._live.mirror.find, self.journal.path.parent, self._key)
            self._live.patience.wait()  # for its id alone, not for what it may lack
            self._live.copy(self.journal.path.parent, self._key)
            self.run_id = self._live.mirror.run_id(self._key)
            atexit.register(self._abandon)
        return self.run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; those logged by an earlier, interrupted start are kept."""
        named = {_safe(k.replace("#", ".")): str(v).encode(errors="replace").decode() for k, v in params.items()}
        fresh = {k: v[:_LONG] for k, v in named.items() if k not in self._params}
        self._params |= set(fresh)
        for start in range(0, len(fresh), _MANY):
            self._add("params", dict(list(fresh.items())[start : start + _MANY]))

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Log the finite numbers of a nested mapping as ``outer.inner``; what is there already, of an epoch that was done
        again, is left out."""
        found = {k: v for k, v in _numbers(metrics).items() if self._metrics.get((k, step)) != v}
        self._metrics.update({(k, step): v for k, v in found.items()})
        for start in range(0, len(found), _MANY):
            self._add("metrics", dict(list(found.items())[start : start + _MANY]), step=step)

    def log_artifacts(self, paths: Iterable[str | Path]) -> None:
        """Copy files into the run."""
        for path in paths:
            path = Path(path).absolute()
            inside = path.is_relative_to(self.output_dir)
            self._add("file", str(path.relative_to(self.output_dir) if inside else path))

    def close(self) -> None:
        """Mark the run finished, and wait for MLflow to have it all."""
        if self._key is not None:
            self._end("FINISHED", self._live.patience.limit)
            atexit.unregister(self._abandon)

    def _latest(self) -> JournalRun | None:
        runs = read_journal(self.journal.path.parent)
        return runs[-1] if runs else None

    def _begun(self, run_id: str | None) -> JournalRun:
        more: dict[str, Any] = {"mlflow_run": run_id} if run_id else {}
        if self.title:
            more.update(title=self.title, tags=dict(self.tags))
        return self.journal.begin(name=self.run_name, experiment=self.experiment, parent=self._parent(), **more)

    def _take_up(self, run: JournalRun) -> None:
        self._key = run.key
        self._params = {name for entry in run.entries for name in entry.get("params", {})}
        self._metrics = {(k, e["step"]): v for e in run.entries for k, v in e.get("metrics", {}).items()}

    def _parent(self) -> dict[str, str] | None:
        if self.parent_run is None:
            return None
        runs = read_journal(self.output_dir / self.parent_run)
        return {"stage": self.parent_run, "run": runs[-1].key} if runs else {"mlflow_run": self.parent_run}

    def _add(self, kind: str, content: Any, **more: Any) -> None:
        if self._key is None:
            raise ValueError(f"run {self.run_name!r} is not open")
        if not self._key:  # without a journal
            return
        try:
            self.journal.add(kind, content, **more)
        except OSError as error:  # the run may have other things to say of a full disk
            self._live.patience.lose(error)
        self._live.copy(self.journal.path.parent, self._key)

    def _end(self, state: str, limit: float) -> None:
        self._add("state", state)
        self._live.patience.call(self._live.mirror.close)
        self._live.patience.wait(limit)
        self._key = self.run_id = None

    def _abandon(self) -> None:
        if self._key is not None:
            self._end("KILLED", min(5.0, self._live.patience.limit))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    stack = [("", metrics)]
    while stack:
        prefix, mapping = stack.pop()
        for key, value in mapping.items():
            if isinstance(value, Mapping):
                stack.append((f"{prefix}{key}.", value))
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                found[_safe(f"{prefix}{key}")] = float(value)
    return found


def _safe(name: Any) -> str:
    """A name that MLflow takes: of letters, digits and a few signs, and no path that could be written otherwise."""
    text = re.sub(r"[^\w./ -]", "_", str(name))[:_LONG_NAME]
    return text if text and normpath(text) == text and text[0] not in "./" else f"_{text.replace('/', '_')}"
