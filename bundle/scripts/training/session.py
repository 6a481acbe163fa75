"""What both trainings do around MONAI's trainer and evaluator: schedule, validate, keep, stop early, resume, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.handlers import LrScheduleHandler, ValidationHandler

from ..core.processes import is_main
from ..core.progress import EngineProgress
from ..networks.narrow_strides import guarded_strides
from .choice import BestModel, EarlyStop
from .epoch_log import EpochLog
from .handlers import History
from .resume import Resume
from .several import in_all_processes, share_buffers

__all__ = ["TrainingSession", "check_batches"]


def check_batches(network: torch.nn.Module, smallest: int) -> None:
    """Refuse batches of a single patch, of which batch normalisation can take no statistics.

    Args:
        network: what is to be trained.
        smallest: patches of the smallest batch.

    Raises:
        ValueError: one patch, and a network with batch normalisation.
    """
    normalises = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())
    if smallest == 1 and normalises:
        raise ValueError(
            "found a batch of a single patch, expected two or more, over which the network's batch normalisation takes its "
            "statistics: set batch_size, and epoch_size where it is set, to 2 or more"
        )


def _smallest_batch(loader: Any) -> int:
    """Patches of the smallest batch of a data loader; 0 where it has none, or where that cannot be known."""
    size, sampler = getattr(loader, "batch_size", None), getattr(loader, "sampler", None)
    if size is None or not hasattr(sampler, "__len__"):
        return 0
    rest = 0 if loader.drop_last else len(sampler) % size
    return rest or (size if len(sampler) >= size else 0)


class TrainingSession:
    """Trains to the end, or from the last epoch that was finished before.

    Args:
        stage: the started :class:`~scripts.run.Stage`.
        trainer: MONAI trainer; what is special about a training is among its own handlers already.
        evaluator: MONAI evaluator, run every ``val_interval`` epochs and after the last one.
        network: network in training.
        optimizer: its optimiser.
        lr_scheduler: stepped after every iteration.
        path: file of the weights that are kept; their description is written beside it.
        description: what the weights are, see :func:`~scripts.weights.describe`.
        score: validation score, of the evaluator's metrics, that early stopping looks at.
        keep: validation score whose best epoch is kept; ``None``: the last epoch.
        patience: validations in a row with a ``score`` below the best after which training stops; ``None``: it runs to its
            end, as a learning rate that falls towards the last epoch asks for.
        val_interval: epochs from one validation to the next.
        averaged: network whose weights are kept, if not the trained one's.
        attach: handlers attached to the trainer before its figures are recorded.
        compile: compile the network first (:meth:`torch.nn.Module.compile`).
        progress: whether to show a progress bar.

    Raises:
        ValueError: ``patience`` or ``val_interval`` below 1, or batches that cannot be trained on.
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
        patience: int | None = None,
        val_interval: int = 1,
        averaged: torch.nn.Module | None = None,
        attach: Sequence[Any] = (),
        compile: bool = False,
        progress: bool = True,
    ) -> None:
        if val_interval < 1:
            raise ValueError(f"val_interval: expected a number of epochs of at least 1, found {val_interval}")
        check_batches(network, _smallest_batch(getattr(trainer, "data_loader", None)))
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
        self.early_stop = None if patience is None else EarlyStop(patience, score, trainer)
        self.history = History(str(Path(stage.folder) / "history.json"), evaluator, optimizer)
        objects = {
            "network": network,
            "optimizer": optimizer,
            "lr_scheduler": lr_scheduler,
            "best": self.best,
            "history": self.history,
        }
        if self.early_stop is not None:
            objects["early_stop"] = self.early_stop
        if averaged is not None:
            objects["averaged"] = averaged
        self.resume = Resume(stage, objects, [self.best.path])

    def run(self) -> None:
        """Attach everything, train, and finish the stage."""
        if self.compile:
            self.network.compile()
        self._attach_to_evaluator()
        self._attach_to_trainer()
        self.trainer.network = in_all_processes(self.network)
        with guarded_strides(self.network):
            self.trainer.run()
        self.stage.finish({"best": self.best.state_dict()}, [self.history.path])

    def _attach_to_evaluator(self) -> None:
        self.best.attach(self.evaluator)
        if self.early_stop is not None:
            self.early_stop.attach(self.evaluator)
        if is_main():
            self.stage.mlflow_handler(prefix="val_").attach(self.evaluator)

    def _attach_to_trainer(self) -> None:
        LrScheduleHandler(self.lr_scheduler, print_lr=False, epoch_level=False).attach(self.trainer)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: share_buffers(self.network, self.best.network))
        validation = ValidationHandler(self.val_interval, self.evaluator)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._validates), validation)
        for handler in self.attach:
            handler.attach(self.trainer)
        self.history.attach(self.trainer)  # after validation, whose scores it notes
        if is_main():
            self.stage.mlflow_handler().attach(self.trainer)
        self.resume.attach(self.trainer)  # after everything that it saves
        EpochLog(self.stage, self.evaluator, self.score, lambda: self.best.epoch).attach(self.trainer)
        EngineProgress(self.title, self.progress).attach(self.trainer)

    def _validates(self, engine: Engine, epoch: int) -> bool:
        return epoch % self.val_interval == 0 or epoch == engine.state.max_epochs
