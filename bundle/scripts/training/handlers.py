"""What a trainer needs beyond MONAI's handlers: epochs that can be repeated, their figures, their order of patches."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import set_rnd
from monai.utils import set_determinism

from ..core.atomic import write_json
from ..core.processes import gathered, is_main, process_rank

__all__ = ["EpochSeed", "History", "parameter_groups"]


class EpochSeed:
    """Seeds every generator at the start of each epoch from ``seed``, the epoch number and that of the process.

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
        sampler = getattr(engine.state.dataloader, "sampler", None)
        if hasattr(sampler, "set_seed"):
            sampler.set_seed(seed)  # one order for all processes, and other chance in each
        seed = (seed + 1_000_003 * process_rank()) % 2**31
        set_determinism(seed)
        if self.dataset is not None:
            set_rnd(self.dataset, seed)


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
            row["train_loss"] = statistics.mean(gathered(sum(self._losses) / len(self._losses)))
            engine.state.metrics["train_loss"] = row["train_loss"]
        if self.optimizer is not None:
            row["lr"] = self.optimizer.param_groups[0]["lr"]
        if self.evaluator is not None and self._validated:
            for name, value in self.evaluator.state.metrics.items():
                if isinstance(value, (int, float)):
                    row[f"val_{name}"] = float(value)
        self._validated = False
        self.epochs = [r for r in self.epochs if r["epoch"] < row["epoch"]] + [row]
        if is_main():
            write_json(self.path, self.epochs)

    def state_dict(self) -> dict[str, list]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, list]) -> None:
        self.epochs = list(state["epochs"])


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
