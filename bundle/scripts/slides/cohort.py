"""Many slides: each once, whoever works on them, and what fails named at the end."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core.errors import message
from ..core.paths import shown
from ..core.stopping import working
from .cohort_inputs import SlideTask, cohort_slides, of_shard, shard_number
from .cohort_table import write_cohort
from .slide_record import Outcome, is_finished, read_record, work_on

__all__ = ["run_cohort"]

logger = logging.getLogger(__name__)

Segment = Callable[[SlideTask, Path, Callable[[float], None]], Mapping[str, Any]]
ENGINES = ("process", "dask")


def run_cohort(
    slides: str | Path | Sequence[Any],
    segment: Segment | None,
    folder: str | Path,
    shard: str | Sequence[int] | None = None,
    engine: str = "process",
    workers: int = 1,
    scheduler: str | None = None,
    dry_run: bool = False,
    estimate: Callable[[SlideTask], float] | None = None,
    progress: bool = True,
    fingerprint: str = "",
    make_segment: Callable[[], Segment] | None = None,
    mpp: Any = None,
    colours: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """Segment all slides that are not finished and that no other process has in work.

    Args:
        slides: what :func:`cohort_slides` takes, or tasks.
        segment: segments a slide, see :func:`~.slide_record.work_on`; ``None``: ``make_segment`` gives it.
        folder: output folder.
        shard: ``"i/n"``: do the i-th of n shares of the slides.
        engine: ``"process"`` (this one, a slide after the other) or ``"dask"``.
        workers: Dask processes on this machine; not used with ``scheduler``.
        scheduler: address of a Dask scheduler (``tcp://host:8786``), or the file that it writes.
        dry_run: list the work, and do nothing.
        estimate: minutes that a slide will take; raises as ``segment`` would for what is no slide; ``None``: the method
            of that name of what ``make_segment`` makes, if it has one.
        progress: whether to show a bar, in mm² of tissue.
        fingerprint: identifies networks and settings; slides done with others are done again.
        make_segment: makes ``segment``, once in each Dask worker; can be pickled.
        mpp: µm/px of all slides.
        colours: of the classes, for the page.

    Returns:
        ``slides``, ``finished`` (by this run), ``before``, ``in work`` (by others): numbers; with ``dry_run`` ``slides``,
        ``to_do`` (names) and ``minutes``.

    Raises:
        SystemExit: slides failed: the message has a line for each, and all others are done. Or the disk is full: no other
            is begun, and the same command continues.
        ValueError: a setting that is none.
        FileNotFoundError: no slides.
        OSError: the folder cannot be written.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: found {engine!r}, expected one of {', '.join(ENGINES)}")
    folder = Path(folder)
    listed = not isinstance(slides, (str, Path)) and all(isinstance(s, SlideTask) for s in slides)
    tasks, faults = (list(slides), []) if listed else cohort_slides(slides, folder, mpp)
    tasks = of_shard(tasks, shard)
    if shard_number(shard)[0] > 1:
        faults = []  # what is of no shard is told by the first alone
    to_do = [task for task in tasks if not is_finished(task, folder, fingerprint)]
    if len(to_do) < len(tasks):
        logger.info("%d of %d slides have been segmented before", len(tasks) - len(to_do), len(tasks))
    if dry_run:
        if estimate is None and make_segment is not None and to_do:
            estimate = getattr(_made(make_segment), "estimate", None)
        return _list_work(tasks, to_do, faults, estimate)
    _check_folder(folder)
    bar = TissueBar(len(to_do), progress)
    try:
        if engine == "dask":
            from .cluster import on_cluster

            done = on_cluster(
                to_do, make_segment or (lambda: segment), folder, fingerprint, bar, workers=workers, scheduler=scheduler
            )
        else:
            done = _here(to_do, segment or make_segment, segment is None, folder, fingerprint, bar)
        outcomes = {outcome.name: outcome for outcome in done}
    finally:
        bar.close()
    write_cohort(folder, fingerprint, colours)
    return _summary(tasks, outcomes, faults, folder)


class TissueBar:
    """A bar in mm² of tissue. What is left is guessed from the slides that are done, as the others' tissue is not known.

    Args:
        slides: number of slides.
        show: whether there is a bar.
    """

    def __init__(self, slides: int, show: bool = True) -> None:
        self.slides = slides
        self.ended = 0
        self.reached: dict[str, float] = {}
        self.bar = tqdm(unit=" mm²", smoothing=0.05, mininterval=0.5, leave=False, disable=None if show else True)
        self.bar.set_description(f"0/{slides} slides")

    def reach(self, name: str, mm2: float) -> None:
        """Note how much of a slide is done."""
        step = mm2 - self.reached.get(name, 0.0)
        if step > 0:
            self.reached[name] = mm2
            self.bar.update(step)

    def end(self, outcome: Outcome) -> None:
        """Note that a slide is done with, and say what is wrong with it."""
        self.ended += 1
        done = sum(self.reached.values())
        self.bar.total = done * self.slides / self.ended or None
        self.bar.set_description(f"{self.ended}/{self.slides} slides")
        if outcome.line and outcome.state != "disk full":
            logger.log(logging.INFO if outcome.state == "in work" else logging.ERROR, "%s", outcome.line)
        if outcome.state == "disk full":  # all others would end alike
            raise SystemExit(outcome.line)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


def _here(
    tasks: Sequence[SlideTask], segment: Any, make: bool, folder: Path, fingerprint: str, bar: TissueBar
) -> Iterable[Outcome]:
    """A slide after the other; those that ended their process more than once last, so that all others come before."""
    starts = {task.name: _starts(folder, task) for task in tasks}
    for task in tasks:
        if starts[task.name] > 1:
            logger.warning(
                "%s: was started %d times and its process died; it goes last", shown(task.path), starts[task.name]
            )
    if make and tasks:
        segment = _made(segment)
    waiting = sorted(tasks, key=lambda task: starts[task.name] > 1)
    in_work: list[tuple[SlideTask, Outcome]] = []
    for last in (False, True):  # those in work by another process once more at the end: it may have died
        for task in waiting:
            with working(lambda task=task: f"slide {task.name}, {bar.ended} of {bar.slides} done with"):
                outcome = work_on(task, segment, folder, fingerprint, lambda mm2, task=task: bar.reach(task.name, mm2))
            if outcome.state == "in work" and not last:
                in_work.append((task, outcome))
                continue
            bar.end(outcome)
            yield outcome
        waiting = [task for task, _ in in_work]


def _made(make: Callable[[], Segment]) -> Any:
    """What segments; what is wrong with it, as with its networks, is wrong for all slides, and is said once."""
    segment = make()
    getattr(segment, "ready", lambda: None)()
    return segment


def _starts(folder: Path, task: SlideTask) -> int:
    record = read_record(folder, task.name)
    return int(record.get("starts") or 0) if record.get("state") == "started" else 0


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        said = f"cannot be written ({os.strerror(error.errno or 0)}); choose another output_dir"
        raise type(error)(error.errno, said, str(folder)) from error


def _list_work(
    tasks: Sequence[SlideTask], to_do: Sequence[SlideTask], faults: list[str], estimate: Callable[[SlideTask], float] | None
) -> dict[str, Any]:
    minutes: dict[str, float | None] = {}
    for task in to_do:
        try:
            minutes[task.name] = None if estimate is None else estimate(task)
        except Exception as error:
            said = message(error) or f"{type(error).__name__}: {error}"
            faults = [*faults, said if shown(task.path) in said else f"{shown(task.path)}: {said}"]
            continue
        took = "" if minutes[task.name] is None else f"{minutes[task.name]:8.1f} min  "
        print(f"{took}{shown(task.path)} -> {task.name}")
    total = sum(m for m in minutes.values() if m is not None)
    end = "" if estimate is None else f", {total:.1f} min"
    print(f"{len(minutes)} slides to do of {len(tasks)}{end}")
    if faults:
        raise SystemExit("\n".join([f"{len(faults)} slides cannot be segmented:", *faults]))
    return {"slides": len(tasks), "to_do": list(minutes), "minutes": total if estimate else None}


def _summary(
    tasks: Sequence[SlideTask], outcomes: Mapping[str, Outcome], faults: Sequence[str], folder: Path
) -> dict[str, Any]:
    states = [outcomes[task.name].state if task.name in outcomes else "before" for task in tasks]
    failed = [*faults, *(o.line for o in outcomes.values() if o.state in ("failed", "given up"))]
    summary: dict[str, Any] = {"slides": len(tasks), **{k: states.count(k) for k in ("finished", "before", "in work")}}
    logger.info(
        "%d slides segmented in %s, %d before, %d in work by others, %d failed",
        summary["finished"], folder, summary["before"], summary["in work"], len(failed),
    )  # fmt: skip
    if failed:
        raise SystemExit("\n".join([f"{len(failed)} slides were not segmented:", *failed]))
    return summary
