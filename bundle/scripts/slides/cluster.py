"""A cohort on a Dask cluster: the scheduler hands slides out, and hands them out again when a worker is lost."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.paths import BUNDLE_ROOT, shown
from ..core.stopping import working
from ..core.threads import set_threads
from .cohort_inputs import SlideTask
from .dask_workers import dask_client, require_dask
from .slide_record import MOST_STARTS, Outcome, is_finished, read_record, work_on

__all__ = ["on_cluster"]

logger = logging.getLogger(__name__)

_TOPIC = "tissue-mm2"
_BETWEEN = 1.0  # s between two messages of how far a slide is
_SETTLE = 0.5  # s
_MOST_TRIES = 20  # of a slide that was never started, as its workers died before

# of a worker's process: what was built, by the digest of what builds it; one slide at a time
_built: dict[str, Any] = {}
_one = threading.Lock()


def on_cluster(
    tasks: Sequence[SlideTask],
    make_segment: Callable[[], Any],
    folder: Path,
    fingerprint: str,
    bar: Any,
    workers: int = 1,
    scheduler: str | None = None,
    threads: int = 1,
    patience: float = 600.0,
) -> Iterator[Outcome]:
    """Segment slides on a cluster.

    A slide whose worker dies is done by another, from where it was, after all others. If its worker dies at each of three
    starts that get no further, it is given up. Starts are counted in the slides' records on disk, which no worker takes
    along.

    Args:
        tasks: the slides; workers find them and the folder under the same paths.
        make_segment: builds what segments a slide, once in each worker; is pickled.
        folder: output folder.
        fingerprint: identifies networks and settings.
        bar: its ``reach(name, mm2)`` and ``end(outcome)`` are called.
        workers: processes on this machine, each with a GPU of its own where there are several; not used with ``scheduler``.
        scheduler: address of a scheduler, or the file that it writes.
        threads: on which networks run, of each worker.
        patience: s that slides wait where there is no worker.

    Yields:
        What became of each slide, in the order of their ends.

    Raises:
        ModuleNotFoundError: Dask is not installed.
        OSError: no scheduler, no worker in time, or the scheduler is gone.
    """
    require_dask()
    if not tasks:
        return
    import cloudpickle
    from distributed import as_completed

    run = uuid.uuid4().hex
    by_name = {task.name: task for task in tasks}
    payload = cloudpickle.dumps(make_segment)
    settings = (payload, hashlib.sha256(payload).hexdigest(), str(Path(folder).absolute()), fingerprint, run, threads)
    tries = dict.fromkeys(by_name, 0)
    ended, last = 0, False
    waiting: list[str] = []  # in work by other processes: once more at the end, as these may have died
    with dask_client(workers, scheduler, patience) as client:
        client.subscribe_topic(_TOPIC, lambda event: _pass_on(event, run, bar))
        work = _entry(BUNDLE_ROOT)

        def submit(name: str, again: bool) -> Any:
            tries[name] += 1
            # keys of one first part are one group, whose tasks the scheduler keeps until a worker is free
            key = (f"slide-{run[:8]}", name, tries[name])
            task = by_name[name]
            what = (os.path.abspath(task.path), name, task.mpp)  # nothing that a worker must know the bundle for
            return client.submit(work, what, again, *settings, key=key, pure=False, priority=-tries[name])

        futures = as_completed([submit(name, False) for name in by_name])
        with working(lambda: f"a cohort, {ended} of {len(tasks)} slides done with"):
            while ended < len(tasks):
                if futures.is_empty():
                    futures.update([submit(name, True) for name in waiting])
                    waiting, last = [], True
                future = next(futures)
                name = future.key[1]
                outcome = _outcome(future, by_name[name], folder, fingerprint, run)
                future.release()  # what is held of a worker that dies would be done again
                del future
                if outcome.state == "in work" and not last:
                    waiting.append(name)
                elif outcome.state == "later" and tries[name] < _MOST_TRIES:
                    if _starts(folder, name, run):
                        logger.warning("%s: its worker died; once more after the others", shown(by_name[name].path))
                    futures.add(submit(name, True))
                else:
                    if outcome.state == "later":
                        outcome = replace(outcome, state="failed")
                    ended += 1
                    bar.end(outcome)
                    yield outcome


def _outcome(future: Any, task: SlideTask, folder: Path, fingerprint: str, run: str) -> Outcome:
    """What the slide's record says, which no worker takes along; else what the future gives."""
    from distributed import KilledWorker
    from distributed.scheduler import NoWorkerError

    record = read_record(folder, task.name)
    if record.get("run") == run and is_finished(task, folder, fingerprint):
        return Outcome(task.name, "finished", "", record["result"])
    gone = "it is gone" if future.status == "cancelled" else ""
    try:
        if not gone:
            return future.result()
    except KilledWorker:
        pass
    except NoWorkerError:
        gone = "all its workers are gone, and no other came"
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return Outcome(task.name, "failed", f"{shown(task.path)}: {said}")
    if gone:
        raise OSError(f"scheduler: {gone}; what is done is kept, and the same command continues")
    if _starts(folder, task.name, run) >= MOST_STARTS:
        return work_on(task, _never, folder, fingerprint, run=run)  # which writes that it is given up
    return Outcome(task.name, "later", f"{shown(task.path)}: its workers died before it was done, {_MOST_TRIES} times")


def _starts(folder: Path, name: str, run: str) -> int:
    record = read_record(folder, name)
    return int(record.get("starts") or 0) if record.get("run") == run else 0


def _never(*_: Any) -> Any:
    raise RuntimeError("a slide that was to be given up was started")


def _pass_on(event: Any, run: str, bar: Any) -> None:
    said = event[1] if isinstance(event, (tuple, list)) else event
    if said.get("run") == run:
        bar.reach(said["name"], said["mm2"])


def _entry(root: str) -> Callable[..., Outcome]:
    """What workers run: sent as code, since a worker that was started elsewhere does not know where the bundle is."""

    def segment_slide(*arguments: Any) -> Any:
        import sys

        if root not in sys.path:
            sys.path.insert(0, root)
        from scripts.slides.cluster import in_worker

        return in_worker(*arguments)

    return segment_slide


def in_worker(
    what: tuple, again: bool, payload: bytes, digest: str, folder: str, fingerprint: str, run: str, threads: int
) -> Outcome:
    """Segment a slide in a worker, on networks that its first slide has built."""
    import cloudpickle
    from distributed import get_worker

    task = SlideTask(Path(what[0]), *what[1:])
    worker, said = get_worker(), [-_BETWEEN]

    def report(mm2: float) -> None:
        if time.monotonic() - said[0] >= _BETWEEN:
            said[0] = time.monotonic()
            worker.log_event(_TOPIC, {"run": run, "name": task.name, "mm2": mm2})

    def segment(*arguments: Any) -> Any:
        if digest not in _built:  # here, so that a worker that dies of it dies of a slide that was started
            set_threads(threads)
            _built.clear()
            _built[digest] = cloudpickle.loads(payload)()
        return _built[digest](*arguments)

    with _one:
        if not _built:
            time.sleep(_SETTLE)  # a worker that dies before its nanny has heard that it is up is not started again
        return work_on(task, segment, folder, fingerprint, report, run, again)
