"""One line of the log per epoch of a training: how far it is, loss, validation scores, time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from ignite.engine import Engine, Events

from ..core.processes import is_main

__all__ = ["EpochLog"]

logger = logging.getLogger(__name__)


class EpochLog:
    """Handler that logs ``epoch 3/8  loss 0.412  miou 0.731  fwiou 0.802  41 s``, and tells the stage how far it is.

    Scores of single classes (``<score>.<class>``) are not shown.

    Args:
        stage: the :class:`~scripts.run.Stage`.
        evaluator: validation evaluator, whose scores are shown in epochs in which it ran.
        first: the score that is shown first.
        kept: gives the epoch whose weights are kept.
    """

    def __init__(self, stage: Any, evaluator: Engine, first: str, kept: Callable[[], int]) -> None:
        self.stage = stage
        self.evaluator = evaluator
        self.first = first
        self.kept = kept
        self._started = 0.0
        self._scores: Mapping[str, Any] = {}

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer, after all its other handlers: an epoch counts once its state is saved."""
        self.evaluator.add_event_handler(Events.COMPLETED, self._note_scores)
        engine.add_event_handler(Events.STARTED, self._tell)
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _note_scores(self) -> None:
        self._scores = dict(self.evaluator.state.metrics)

    def _begin(self) -> None:
        self._started, self._scores = time.monotonic(), {}

    def _tell(self, engine: Engine) -> None:
        done, asked = engine.state.epoch, engine.state.max_epochs
        self.stage.progress = f"after epoch {done} of {asked}" if done else f"before the end of epoch 1 of {asked}"

    def __call__(self, engine: Engine) -> None:
        self._tell(engine)
        if not is_main():
            return
        figures = {"loss": engine.state.metrics.get("train_loss")}
        figures.update({k: self._scores.get(k) for k in sorted(self._scores, key=lambda k: (k != self.first, k))})
        numbers = {name: v for name, v in figures.items() if isinstance(v, (int, float)) and "." not in name}
        shown = [f"{name} {value:.3f}" for name, value in numbers.items()]
        if self._scores and self.kept() != engine.state.epoch:
            shown.append(f"(kept: epoch {self.kept()})")
        epoch = f"epoch {engine.state.epoch}/{engine.state.max_epochs}"
        logger.info("%s", "  ".join([epoch, *shown, f"{time.monotonic() - self._started:.0f} s"]))
