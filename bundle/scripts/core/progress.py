"""One progress bar with the time left: over the epochs of a stage, or over all stages of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from ignite.engine import Engine, Events
from tqdm import tqdm

from .processes import is_main

__all__ = ["EngineProgress", "Overall", "overall_progress", "track"]

_Item = TypeVar("_Item")
_FORMAT = "{desc}{percentage:3.0f}%|{bar:20}| {elapsed} so far, {remaining} left"
_overall: list[Overall] = []


class Overall:
    """A bar over parts whose lengths are known about, in any unit of time.

    Args:
        lengths: length of each part by its name.
        show: whether there is a bar.
    """

    def __init__(self, lengths: Mapping[str, float], show: bool = True) -> None:
        self.lengths = dict(lengths)
        self.part = ""
        self.done = 0.0
        self.bar = tqdm(
            total=sum(self.lengths.values()), bar_format=_FORMAT, smoothing=0.0, mininterval=0.5, leave=False,
            disable=None if show else True,
        )  # fmt: skip

    def begin(self, name: str) -> None:
        """Begin the next part."""
        self.part, self.done = name, 0.0
        number = list(self.lengths).index(name) + 1
        self.bar.set_description(f"stage {number}/{len(self.lengths)} {name}")

    def leave_out(self, share: float) -> None:
        """Take a share of the part that was begun, in [0, 1], off the whole, as it was done before."""
        self.bar.total = max(1e-9, self.bar.total - self.lengths[self.part] * max(0.0, share - self.done))
        self.done = max(self.done, share)
        self.bar.refresh()

    def reach(self, share: float) -> None:
        """Note that a share of the part is done, in [0, 1]."""
        step = min(1.0, share) - self.done
        if step > 0:
            self.done += step
            self.bar.update(min(self.lengths[self.part] * step, max(0.0, self.bar.total - self.bar.n)))


@contextmanager
def overall_progress(lengths: Mapping[str, float], show: bool = True) -> Iterator[Overall]:
    """One bar over all parts; those of engines and loops within the block are its parts, and not shown themselves."""
    bar = Overall(lengths, show)
    _overall.append(bar)
    try:
        yield bar
    finally:
        _overall.remove(bar)
        bar.bar.close()


class EngineProgress:
    """Handler that shows how much of an engine's run is done, over all its epochs, and the time left.

    Args:
        name: what is shown before the bar.
        show: whether to show a bar of its own; the pipeline has one over all stages.
    """

    def __init__(self, name: str, show: bool = True) -> None:
        self.name = name
        self.show = show and is_main()
        self.bar: tqdm | None = None
        self._first = 0

    def attach(self, engine: Engine) -> None:
        """Attach to an engine, after handlers that take up a state."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        engine.add_event_handler(Events.COMPLETED, self._end)
        engine.add_event_handler(Events.TERMINATE, self._end)

    def _start(self, engine: Engine) -> None:
        self._first = engine.state.iteration
        if _overall:
            _overall[-1].leave_out(self._first / self._total(engine))
        elif self.show:
            total = self._total(engine) - self._first
            self.bar = tqdm(
                desc=f"{self.name}: ",
                total=total,
                bar_format=_FORMAT,
                smoothing=0.0,
                mininterval=0.5,
                leave=False,
                disable=None,
            )

    def _advance(self, engine: Engine) -> None:
        if self.bar is not None:
            self.bar.update(engine.state.iteration - self._first - self.bar.n)
        elif _overall:
            _overall[-1].reach(engine.state.iteration / self._total(engine))

    def _end(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    @staticmethod
    def _total(engine: Engine) -> int:
        return max(1, (engine.state.max_epochs or 1) * (engine.state.epoch_length or 1))


def track(items: Iterable[_Item], name: str, total: int, show: bool = True) -> Iterable[_Item]:
    """Items of a loop, with a bar of its own, unless the pipeline has one over all stages."""
    own = show and is_main() and not _overall
    return tqdm(items, desc=name, total=total, leave=False, disable=None if own else True, file=sys.stderr)
