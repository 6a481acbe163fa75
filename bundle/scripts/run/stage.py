"""One stage of the flow: its folder, its record, its seed, and whether it still has to be done."""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from monai.data import set_track_meta
from monai.utils import set_determinism

from ..core.atomic import discard_unfinished, make_folder, write_json, write_text
from ..core.environment import environment
from ..core.file_states import FileStates
from ..core.log import LOG, logged_to
from ..core.own import own_sources
from ..core.processes import from_main, is_main, join_processes, process_count, wait_for_all
from ..core.settings import plain, running_config, scalars
from ..core.stopping import working
from ..core.threads import set_threads
from .carried import carried
from .holding import holding
from .outcome import is_whole, put_states_aside, put_weights_aside
from .record import RECORD, fingerprint, length, parts, read_record, reason
from .titles import run_tags, run_title
from .tracking import Tracker
from .tracking_handler import StageMLFlowHandler

__all__ = ["STATES", "Stage"]

#: File of a run: states of the files that its stages have read.
STATES = ".file_states.json"

logger = logging.getLogger(__name__)


class Stage:
    """Folder ``<output_dir>/<name>`` of a stage, which says of itself what ran, with what, and whether it finished.

    The folder holds ``config.yaml`` (the configuration as run, overrides included), ``environment.json`` (seed, package
    versions, machine, git commit), ``stage.json`` (state, fingerprint, seconds) and ``log.txt``. The fingerprint covers
    everything that the result depends on, see :func:`~.record.parts`, and nothing else: a later run with the same one
    continues; with another, starts anew, and what it finds of before is put aside. While a stage runs, its folders are
    locked.

    Args:
        name: name of the stage and of its folder.
        output_dir: folder of the whole run.
        seed: seed of every random number generator.
        inputs: files whose content the stage depends on; absent ones are refused when it starts.
        reads: entries of a datalist that it depends on, in any nest: their values, the content of images and masks; and
            other files, which may be absent, as ``{"file": paths}``.
        weights: files of weights that it writes, described as made by it (see :meth:`made`).
        outputs: further files without which it is not finished.
        writes: folders that it writes to beside its own.
        key: further values that the fingerprint covers.
        shows: settings that only what is shown depends on, which is made anew at every end; it does not cover them.
        config: configuration to record; that of the running MONAI workflow by default.
        experiment: MLflow experiment.
        parent_run: run that this one is a part of: another stage of the folder by name, or an MLflow run by its id.
        threads: threads that networks run on, see :func:`~scripts.core.threads.set_threads`.
        several: whether several processes may do it together (``torchrun``), of which the first one writes.
    """

    def __init__(
        self,
        name: str,
        output_dir: str,
        seed: int = 0,
        inputs: Sequence[str] = (),
        reads: Any = None,
        weights: Sequence[str] = (),
        outputs: Sequence[str] = (),
        writes: Sequence[str] = (),
        key: Any = None,
        shows: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        experiment: str = "tissue-segmentation",
        parent_run: str | None = None,
        threads: int | None = None,
        several: bool = False,
    ) -> None:
        self.name = name
        self.output_dir = Path(output_dir).absolute()
        self.folder = self.output_dir / name
        self.seed = int(seed)
        self.key = str(key)
        self.shows = tuple(shows)
        self.config = plain(config if config is not None else running_config())
        # what is in one's own files decides, not where they are
        self.inputs = [Path(p) for p in (*inputs, *own_sources(self.config.get("own")))]
        self.reads = reads
        self.weights = [Path(p) for p in weights]
        self.outputs = [Path(p) for p in outputs]
        self.writes = [Path(p).absolute() for p in writes]
        self.tracker = Tracker(output_dir, experiment=experiment, run_name=name, parent_run=parent_run)
        self.several = several
        self.fingerprint = ""
        self.resumes = False
        self.progress = ""
        self._parts: dict[str, str] = {}
        self._carried: Mapping[str, Any] | None = None
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._held = ExitStack()
        set_threads(threads)
        # before any network is built from this configuration
        set_determinism(self.seed)
        # every image is a plain tensor here: metadata would cost several milliseconds per patch and serve nobody
        set_track_meta(False)

    def start(self) -> Stage:
        """Seed everything, lock the folders, record configuration and environment, open log and tracked run.

        Raises:
            FileNotFoundError: an input is absent.
            BlockingIOError: another process works in one of the folders.
            PermissionError: the folder cannot be written.
            ValueError: several processes, of a stage that is for one.
        """
        if process_count() > 1 and not self.several:
            raise ValueError(
                f"stage {self.name!r}: found {process_count()} processes, expected one: start it without torchrun"
            )
        join_processes()
        if is_main():
            self._begin()
        wait_for_all()
        self.fingerprint = from_main(self.fingerprint)
        set_determinism(self.seed)
        return self

    def _begin(self) -> None:
        """Start, in the process that writes."""
        for path in self.inputs:
            if not path.is_file():
                raise FileNotFoundError(f"stage {self.name!r} needs {path}, which does not exist: run the stage before")
        weakref.finalize(self, self._held.close)  # where it is given up,
        atexit.register(self._held.close)  # and at the latest when the process ends
        try:
            self._hold()
            self._open()
        except BaseException:
            self._held.close()
            raise

    def finished(self) -> bool:
        """Whether the stage was finished before with this configuration and these data, and what it made is there."""
        record = read_record(self.folder)
        self.fingerprint = self._fingerprint(record)
        if record.get("state") != "finished" or record.get("fingerprint") != self.fingerprint:
            return False
        if self._carried is not None and self._carried != record["carried"]:
            write_json(self.folder / RECORD, {**record, "carried": self._carried})
        same_length = record.get("max_epochs") == length(self.config)
        return same_length and is_whole(self.weights, self.outputs, self.fingerprint)

    def finish(self, metrics: Mapping[str, Any] | None = None, artifacts: Sequence[str | Path] = ()) -> None:
        """Mark the stage finished, close the tracked run with its last figures and files, and unlock the folders.

        Args:
            metrics: figures; nested mappings are flattened, anything but numbers is left out.
            artifacts: files to track (pictures, reports); absent ones are left out.
        """
        if not is_main():
            return
        self.tracker.log_metrics(metrics or {})
        self.tracker.log_artifacts([p for p in map(Path, artifacts) if p.is_file()])
        run_id = self.tracker.run_id
        self.tracker.close()
        self._record("finished", run_id)
        self._held.close()
        atexit.unregister(self._held.close)

    def made(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """A description of weights, with what tells that this stage makes them."""
        return {**description, "fingerprint": self.fingerprint}

    def save_time(self) -> None:
        """Record the time so far, which would otherwise be lost if the process were killed."""
        self._record("running", self.tracker.run_id)

    def mlflow_handler(self, prefix: str = "") -> StageMLFlowHandler:
        """A handler that logs an engine's metrics into the stage's tracked run, each under a prefix."""
        return StageMLFlowHandler(self, prefix)

    def _hold(self) -> None:
        """Take the folders, and what a process that was killed has left half-written in them away."""
        self._held.enter_context(holding(self.output_dir, f"stage {self.name}", self.writes))
        make_folder(self.folder)
        for folder in (self.output_dir, *self.writes):
            discard_unfinished(folder)
        discard_unfinished(self.folder, recursive=True)
        self._held.enter_context(logged_to(self.folder / LOG, everything=self.name != "pipeline"))
        me = weakref.ref(self)
        self._held.enter_context(working(lambda: me()._doing()))

    def _open(self) -> None:
        record = read_record(self.folder)
        self.fingerprint = self._fingerprint(record)
        asked, before = length(self.config), record.get("max_epochs")
        fewer = asked is not None and isinstance(before, int) and asked < before
        self.resumes = record.get("fingerprint") == self.fingerprint and not fewer
        if record and not self.resumes:
            if self.name != "pipeline":
                why = reason(record, self._parts, self.config, self._recorded_config())
                logger.info("%s starts anew: %s", self.name, why)
            put_states_aside(self.folder)
        put_weights_aside(self.weights, self.fingerprint, record, self.resumes)
        self.tracker.tags = run_tags(self.name, self.config, self.seed, self.reads, self.inputs)
        self.tracker.title = run_title(self.tracker.tags)
        self._started = time.monotonic()
        seconds = record.get("seconds")
        self._seconds_before = float(seconds) if self.resumes and isinstance(seconds, (int, float)) else 0.0
        self._record("running", self.tracker.open(record.get("run_id") if self.resumes else None, self.resumes))
        write_text(self.folder / "config.yaml", yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))
        details = environment(self.seed)
        write_json(self.folder / "environment.json", details)
        self.tracker.log_params({**scalars(self.config), **{f"environment.{k}": v for k, v in scalars(details).items()}})
        self.tracker.log_artifacts([self.folder / "config.yaml", self.folder / "environment.json"])

    def _fingerprint(self, record: Mapping[str, Any]) -> str:
        """That of this stage; that of the record where an earlier version made it from the same."""
        states = FileStates(self.output_dir / STATES)
        made_of = {k: v for k, v in self.config.items() if k not in self.shows}
        self._parts = parts(made_of, self.inputs, self.reads, self.key, states, bool(self.config.get("progress")))
        self._carried = carried(record, self.config, self._parts)
        return fingerprint(self._parts) if self._carried is None else record["fingerprint"]

    def _recorded_config(self) -> dict[str, Any]:
        try:
            content = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return content if isinstance(content, dict) else {}

    def _doing(self) -> str:
        name = "the pipeline" if self.name == "pipeline" else f"stage {self.name}"
        return name + (f", {self.progress}" if self.progress else "")

    def _record(self, state: str, run_id: str | None) -> None:
        content = {
            "stage": self.name,
            "state": state,
            "fingerprint": self.fingerprint,
            "parts": self._parts,
            "max_epochs": length(self.config),
            "run_id": run_id,
            "seconds": round(self._seconds_before + time.monotonic() - self._started, 1),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        if self._carried is not None:
            content["carried"] = self._carried
        write_json(self.folder / RECORD, content)
