"""What both trainings do around MONAI's trainer and evaluator: schedule, validate, keep, stop early, resume, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from monai.handlers import LrScheduleHandler, ValidationHandler

from ..core.progress import EngineProgress
from .epoch_log import EpochLog
from .handlers import BestModel, History, Resume

__all__ = ["TrainingSession"]


class TrainingSession:
    """Trains to the end, or from the last epoch that was finished before.

    Args:
        stage: the started :class:`~scripts.run.Stage`.
        trainer: MONAI trainer; what is special about a training is among its own handlers already.
        evaluator: MONAI evaluator, run every ``val_interval`` epochs.
        network: network in training.
        optimizer: its optimiser.
        lr_scheduler: stepped after every iteration.
        path: file of the weights that are kept; their description is written beside it.
        description: what the weights are, see :func:`~scripts.weights.describe`.
        score: validation score, of the evaluator's metrics, that early stopping looks at.
        keep: validation score whose best epoch is kept; ``None``: the last epoch.
        patience: validations without a better ``score`` after which training stops.
        val_interval: epochs from one validation to the next.
        averaged: network whose weights are kept, if not the trained one's.
        attach: handlers attached to the trainer before its figures are recorded.
        compile: compile the network first (:meth:`torch.nn.Module.compile`).
        progress: whether to show a progress bar.
    """

    def __init__(
        self,
        stage: Any,
        trainer: Engine,
        evaluator: Engine,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: Any,
        path: str | Path,
        description: Mapping[str, Any],
        score: str,
        keep: str | None = None,
        patience: int = 8,
        val_interval: int = 1,
        averaged: torch.nn.Module | None = None,
        attach: Sequence[Any] = (),
        compile: bool = False,
        progress: bool = True,
    ) -> None:
        self.stage = stage
        self.score = score
        self.trainer = trainer
        self.evaluator = evaluator
        self.network = network
        self.lr_scheduler = lr_scheduler
        self.val_interval = val_interval
        self.attach = list(attach)
        self.compile = compile
        self.progress = progress
        self.title = description.get("kind", "training")
        self.best = BestModel(network if averaged is None else averaged, path, keep, description=description)
        self.early_stop = EarlyStopping(patience, lambda engine: engine.state.metrics[score], trainer)
        self.history = History(str(Path(stage.folder) / "history.json"), evaluator, optimizer)
        objects = {
            "network": network,
            "optimizer": optimizer,
            "lr_scheduler": lr_scheduler,
            "best": self.best,
            "early_stop": self.early_stop,
            "history": self.history,
        }
        if averaged is not None:
            objects["averaged"] = averaged
        self.resume = Resume(stage, objects, [self.best.path])

    def run(self) -> None:
        """Attach everything, train, and finish the stage."""
        if self.compile:
            self.network.compile()
        self._attach_to_evaluator()
        self._attach_to_trainer()
        self.trainer.run()
        self.stage.finish({"best": self.best.state_dict()}, [self.history.path])

    def _attach_to_evaluator(self) -> None:
        self.best.attach(self.evaluator)
        self.evaluator.add_event_handler(Events.COMPLETED, self.early_stop)
        self.stage.mlflow_handler(prefix="val_").attach(self.evaluator)

    def _attach_to_trainer(self) -> None:
        LrScheduleHandler(self.lr_scheduler, print_lr=False, epoch_level=False).attach(self.trainer)
        ValidationHandler(self.val_interval, self.evaluator, epoch_level=True).attach(self.trainer)
        for handler in self.attach:
            handler.attach(self.trainer)
        self.history.attach(self.trainer)  # after validation, whose scores it notes
        self.stage.mlflow_handler().attach(self.trainer)
        self.resume.attach(self.trainer)  # after everything that it saves
        EpochLog(self.stage, self.evaluator, self.score, lambda: self.best.epoch).attach(self.trainer)
        EngineProgress(self.title, self.progress).attach(self.trainer)
