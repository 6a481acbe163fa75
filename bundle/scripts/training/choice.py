"""Which epoch's weights are kept, and when a training ends before its last epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from ..core.processes import is_main
from ..weights.files import save_weights

__all__ = ["BestModel", "EarlyStop"]

logger = logging.getLogger(__name__)


class BestModel:
    """Keeps the weights of the epoch with the highest score, the later one of equals, or those of the last epoch.

    Args:
        network: module whose state dict is saved.
        path: file of the weights, written atomically.
        metric: name of the score in the evaluator's metrics; ``None`` keeps the last epoch. Few patches or regions give few
            different scores, and the highest is soon reached: a network need not be trained by then.
        trainer: engine whose epoch is recorded.
        description: what the weights are (:func:`~scripts.weights.describe`), written beside them with the scores.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        path: str | Path,
        metric: str | None,
        trainer: Engine | None = None,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.description = description or {}
        self.path = Path(path)
        self.metric = metric
        self.trainer = trainer
        self.score = float("-inf")
        self.epoch = 0

    def attach(self, engine: Engine) -> None:
        """Attach to a validation evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if self.metric is None:
            self._save(engine)
            return
        score = float(engine.state.metrics[self.metric])
        # a score that is not a number never becomes the best, but some weights must exist
        if score >= self.score or not self.epoch:
            self.score = score
            self._save(engine)
            logger.debug("best %s %.4f in epoch %d: %s", self.metric, score, self.epoch, self.path)

    def _save(self, engine: Engine) -> None:
        self.epoch = (self.trainer or engine).state.epoch
        if not is_main():
            return
        scores = {k: float(v) for k, v in engine.state.metrics.items() if isinstance(v, (int, float)) and isfinite(v)}
        save_weights(self.path, self.network, self.description, {"epoch": self.epoch, **scores})

    def state_dict(self) -> dict[str, float]:
        return {"score": self.score, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.score, self.epoch = state["score"], int(state["epoch"])


class EarlyStop:
    """Ends a training after so many validations in a row whose score is below the best.

    The same score once more is no loss, for a validation on few patches or regions has few different ones; a score that is
    not a number is one.

    Args:
        patience: so many validations.
        metric: name of the score in the evaluator's metrics.
        trainer: engine that is ended.

    Raises:
        ValueError: patience below 1.
    """

    def __init__(self, patience: int, metric: str, trainer: Engine) -> None:
        if patience < 1:
            raise ValueError(f"patience: expected a number of validations of at least 1, or null, found {patience}")
        self.patience = patience
        self.metric = metric
        self.trainer = trainer
        self.score = float("-inf")
        self.worse = 0

    def attach(self, engine: Engine) -> None:
        """Attach to a validation evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        score = float(engine.state.metrics[self.metric])
        if score >= self.score:
            self.worse = self.worse if score == self.score else 0
            self.score = score
            return
        self.worse += 1
        if self.worse >= self.patience:
            logger.info("%s was below %.4f in %d validations: training ends", self.metric, self.score, self.worse)
            self.trainer.terminate()

    def forgive(self) -> None:
        """Begin to count anew."""
        self.worse = 0

    def state_dict(self) -> dict[str, float]:
        return {"score": self.score, "worse": self.worse}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.score, self.worse = state["score"], int(state["worse"])
