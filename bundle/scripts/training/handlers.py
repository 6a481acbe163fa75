"""What a trainer needs beyond MONAI's handlers: epochs that can be repeated, and a state that survives a kill."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Sized
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import set_rnd
from monai.utils import set_determinism
from torch.utils.data import RandomSampler

from ..core.atomic import discard_unfinished, save_state, write_json
from ..weights.files import save_weights

__all__ = ["BestModel", "EpochSeed", "History", "Resume", "draw", "parameter_groups"]

logger = logging.getLogger(__name__)


class EpochSeed:
    """Seeds every generator at the start of each epoch from ``seed`` and the epoch number.

    An epoch then depends on the weights and optimiser state before it, and on nothing else: a run that was killed and
    continued ends like one that was not.

    Args:
        seed: seed of the stage.
        dataset: dataset whose random transforms run in this process (a loader without workers).
    """

    def __init__(self, seed: int, dataset: Any = None) -> None:
        self.seed = int(seed)
        self.dataset = dataset

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer, before its other handlers."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        seed = (self.seed * 100_003 + engine.state.epoch) % 2**31
        set_determinism(seed)
        if self.dataset is not None:
            set_rnd(self.dataset, seed)


class BestModel:
    """Keeps the weights of the epoch with the highest score, or of the last epoch.

    Args:
        network: module whose state dict is saved.
        path: file of the weights, written atomically.
        metric: name of the score in the evaluator's metrics; ``None`` keeps the last epoch.
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
        if score > self.score or not self.path.is_file():
            self.score = score
            self._save(engine)
            logger.debug("best %s %.4f in epoch %d: %s", self.metric, score, self.epoch, self.path)

    def _save(self, engine: Engine) -> None:
        self.epoch = (self.trainer or engine).state.epoch
        scores = {k: float(v) for k, v in engine.state.metrics.items() if isinstance(v, (int, float)) and isfinite(v)}
        save_weights(self.path, self.network, self.description, {"epoch": self.epoch, **scores})

    def state_dict(self) -> dict[str, float]:
        return {"score": self.score, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.score, self.epoch = state["score"], int(state["epoch"])


class History:
    """Figures per epoch, for the training curves: mean training loss, learning rate, validation metrics.

    Args:
        path: JSON file, written after each epoch: ``[{"epoch": 1, "train_loss": ..., "lr": ..., "val_...": ...}]``.
        evaluator: validation evaluator; its metrics are recorded in epochs in which it ran.
        optimizer: optimiser whose first learning rate is recorded.
    """

    def __init__(self, path: str | Path, evaluator: Engine | None = None, optimizer: Any = None) -> None:
        self.path = Path(path)
        self.evaluator = evaluator
        self.optimizer = optimizer
        self.epochs: list[dict[str, float]] = []
        self._losses: list[float] = []
        self._validated = False

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer, after its validation handler."""
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.COMPLETED, self._note_validation)
        engine.add_event_handler(Events.EPOCH_STARTED, self._losses.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep_loss)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _note_validation(self) -> None:
        self._validated = True

    def _keep_loss(self, engine: Engine) -> None:
        output = engine.state.output
        self._losses.append(float((output[0] if isinstance(output, list) else output)["loss"]))

    def __call__(self, engine: Engine) -> None:
        row: dict[str, float] = {"epoch": engine.state.epoch}
        if self._losses:
            row["train_loss"] = sum(self._losses) / len(self._losses)
            engine.state.metrics["train_loss"] = row["train_loss"]
        if self.optimizer is not None:
            row["lr"] = self.optimizer.param_groups[0]["lr"]
        if self.evaluator is not None and self._validated:
            for name, value in self.evaluator.state.metrics.items():
                if isinstance(value, (int, float)):
                    row[f"val_{name}"] = float(value)
        self._validated = False
        self.epochs = [r for r in self.epochs if r["epoch"] < row["epoch"]] + [row]
        write_json(self.path, self.epochs)

    def state_dict(self) -> dict[str, list]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, list]) -> None:
        self.epochs = list(state["epochs"])


class Resume:
    """Saves everything an unbroken run would carry over an epoch boundary, and takes it up again.

    Args:
        stage: the :class:`~scripts.run.Stage`; ``last.pt`` in its folder is the state. A state of another configuration was
            removed when the stage started.
        objects: name to object with ``state_dict`` and ``load_state_dict``.
        outputs: files that training leaves beside its state, such as the best weights; without them it starts anew.
    """

    def __init__(self, stage: Any, objects: Mapping[str, Any], outputs: Sequence[str | Path] = ()) -> None:
        self.stage = stage
        self.path = Path(stage.folder) / "last.pt"
        self.objects = dict(objects)
        self.outputs = [Path(p) for p in outputs]

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer, after all its other handlers.

        Raises:
            ValueError: the trainer's epochs have no batch, so that it would leave nothing behind.
        """
        if engine.state.epoch_length == 0:
            raise ValueError(
                "an epoch has no batch: fewer patches are drawn (epoch_size, or those there are) than batch_size asks for"
            )
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def load(self, engine: Engine) -> None:
        """Take up the state, if there is one.

        Raises:
            ValueError: the file cannot be read, or belongs to other networks.
        """
        for output in self.outputs:
            discard_unfinished(output)
        if not self.path.is_file() or not all(p.is_file() for p in self.outputs):
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            for name, item in self.objects.items():
                item.load_state_dict(state[name])
            engine.state.epoch = int(state["epoch"])
            if state["terminated"]:  # stopped early, by its own rule
                engine.terminate()
        except Exception as error:
            raise ValueError(
                f"{self.path}: not a training state that fits this configuration ({error}); delete it to start anew"
            ) from error
        engine.state.iteration = engine.state.epoch * (engine.state.epoch_length or 0)
        logger.info("continuing after epoch %d of %s: %s", engine.state.epoch, engine.state.max_epochs, self.path)

    def save(self, engine: Engine) -> None:
        """Write the state of a finished epoch."""
        state = {name: item.state_dict() for name, item in self.objects.items()}
        save_state(self.path, {**state, "epoch": engine.state.epoch, "terminated": bool(engine.should_terminate)})
        self.stage.save_time()


def draw(dataset: Sized, size: int | None = None) -> RandomSampler:
    """Random order of a dataset for a data loader, in each epoch another; with ``size``, at most so many items of it."""
    count = len(dataset) if size is None else min(len(dataset), int(size))
    return RandomSampler(dataset, num_samples=count)


def parameter_groups(
    network: torch.nn.Module, lr: float, old: str = "extractor", factor: float = 10.0
) -> list[dict[str, Any]]:
    """Two parameter groups: a pretrained backbone at ``lr``, new layers at ``factor * lr``.

    Args:
        network: network with parameters.
        lr: learning rate of the backbone.
        old: prefix of the names of the pretrained parameters.
        factor: factor of the learning rate of the others.

    Raises:
        ValueError: all parameters are old, or none is.
    """
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        groups[name.startswith(old + ".")].append(parameter)
    if not groups[True] or not groups[False]:
        raise ValueError(
            f"{old!r} names {len(groups[True])} of the parameters of {type(network).__name__}: expected some, not all"
        )
    return [{"params": groups[True], "lr": lr}, {"params": groups[False], "lr": lr * factor}]
