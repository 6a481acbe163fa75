"""A training that was interrupted, or that is to have more epochs, goes on after its last finished epoch."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..core.aside import put_aside
from ..core.atomic import discard_unfinished, save_state
from ..core.processes import is_main, process_count, wait_for_all
from .choice import EarlyStop

__all__ = ["Resume"]

logger = logging.getLogger(__name__)


class Resume:
    """Saves everything an unbroken run would carry over an epoch boundary, and takes it up again.

    With as many epochs as before, a run that was interrupted ends with the same bits as an unbroken one. With another number
    of epochs, the learning rate goes on at the same step of the *new* schedule, and a training that had stopped early
    goes on with its whole patience.

    Args:
        stage: the :class:`~scripts.run.Stage`; ``last.pt`` in its folder is the state. The stage has put it aside if it is
            of another configuration.
        objects: name to object with ``state_dict`` and ``load_state_dict``.
        outputs: files that training leaves beside its state, such as the weights that are kept; it starts anew without those
            that there were when the state was saved.
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
        """Take up the state, if there is one. One that cannot serve is kept under another name, and training starts anew.

        Raises:
            OSError: the file may not be read.
        """
        if is_main():
            for output in self.outputs:
                discard_unfinished(output)
        if not self.path.is_file():
            return
        fresh = {name: deepcopy(item.state_dict()) for name, item in self.objects.items()}
        with self.path.open("rb"):
            pass  # one that may not be read is no damaged one
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self._take_up(state, engine)
        except MemoryError:
            raise  # says nothing about the file
        except Exception as error:
            for name, item in self.objects.items():
                item.load_state_dict(fresh[name])
            wait_for_all()  # all have read it
            if is_main():
                logger.warning(
                    "%s: no training state that fits this configuration (%s): it is kept as %s, training starts anew",
                    self.path, _reason(error), put_aside(self.path).name,
                )  # fmt: skip
            return
        engine.state.epoch = int(state["epoch"])
        engine.state.iteration = engine.state.epoch * (engine.state.epoch_length or 0)
        logger.info("continuing after epoch %d of %s: %s", engine.state.epoch, engine.state.max_epochs, self.path)
        if state["terminated"] and self._same_epochs(state, engine):  # stopped early, by its own rule
            engine.terminate()

    def save(self, engine: Engine) -> None:
        """Write the state of a finished epoch."""
        if not is_main():
            return
        state = {name: item.state_dict() for name, item in self.objects.items()}
        state |= {
            "epoch": engine.state.epoch,
            "max_epochs": engine.state.max_epochs,
            "terminated": bool(engine.should_terminate),
            "outputs": [path.is_file() for path in self.outputs],
            "processes": process_count(),
        }
        save_state(self.path, state)
        self.stage.save_time()

    def _take_up(self, state: Mapping[str, Any], engine: Engine) -> None:
        """Load a state into the objects.

        Raises:
            ValueError: more epochs are done than asked for, an output is missing, or it is of another number of processes.
            Exception: whatever objects raise that the state does not fit.
        """
        if engine.state.max_epochs is not None and int(state["epoch"]) > engine.state.max_epochs:
            raise ValueError(f"found {state['epoch']} finished epochs, asked for are {engine.state.max_epochs}")
        if (processes := state.get("processes", 1)) != process_count():  # whose epochs have another number of steps
            raise ValueError(f"it is of {processes} processes, found {process_count()}")
        there = state.get("outputs", [True] * len(self.outputs))  # version 0.5.0 and before say nothing of them
        if gone := [str(path) for path, was in zip(self.outputs, there, strict=True) if was and not path.is_file()]:
            raise ValueError(f"{', '.join(gone)} is missing")
        scheduled = {} if self._same_epochs(state, engine) else self._replay(state)
        for name, item in self.objects.items():
            if name not in scheduled:
                item.load_state_dict(state[name])
        for optimizer, groups in scheduled.values():
            for group, values in zip(optimizer.param_groups, groups, strict=True):
                group.update(values)
        if not self._same_epochs(state, engine):
            for item in self.objects.values():
                if isinstance(item, EarlyStop):
                    item.forgive()

    def _replay(self, state: Mapping[str, Any]) -> dict[str, tuple[torch.optim.Optimizer, list[dict[str, Any]]]]:
        """Bring schedules, which are new and of the new number of epochs, to the step of a state.

        Returns:
            For each of them its optimiser and what it makes of its parameter groups: learning rates, momenta.
        """
        scheduled = {}
        for name, item in self.objects.items():
            if isinstance(item, LRScheduler) and not isinstance(item, ReduceLROnPlateau):  # that one knows no end
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # that the optimiser has made no step
                    for _ in range(int(state[name]["last_epoch"])):
                        item.step()
                groups = [{k: v for k, v in g.items() if k != "params"} for g in item.optimizer.param_groups]
                scheduled[name] = (item.optimizer, groups)
        return scheduled

    def _same_epochs(self, state: Mapping[str, Any], engine: Engine) -> bool:
        return state.get("max_epochs", engine.state.max_epochs) == engine.state.max_epochs


def _reason(error: Exception) -> str:
    """What is wrong with a state, in one line; torch's own words on pickles advise to load them unguarded."""
    if isinstance(error, (pickle.UnpicklingError, EOFError, OSError)) or "weights_only" in str(error):
        return "damaged, or not of this program"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return (str(error).splitlines() or [type(error).__name__])[0]
