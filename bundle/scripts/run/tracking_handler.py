"""An engine's epochs in the tracked run of a stage."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

__all__ = ["StageMLFlowHandler"]


class StageMLFlowHandler:
    """Tracks an engine in a stage's run: its epochs' metrics, each under a prefix, and how long it is to train.

    Args:
        stage: the :class:`~.stage.Stage`; its run is opened when the engine starts.
        prefix: put before each metric name, such as ``"val_"``.
        trainer: engine whose epoch counts; the attached engine's own by default.
    """

    def __init__(self, stage: Any, prefix: str = "", trainer: Engine | None = None) -> None:
        self.stage = stage
        self.prefix = prefix
        self.trainer = trainer

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer or an evaluator."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_completed)

    def start(self, engine: Engine) -> None:
        """Write into the stage's run from now on."""
        tracker = self.stage.tracker
        tracker.open()
        tracker.log_params({name: getattr(engine.state, name) for name in ("max_epochs", "epoch_length")})

    def epoch_completed(self, engine: Engine) -> None:
        """Log the epoch's metrics."""
        metrics = {f"{self.prefix}{k}": v for k, v in engine.state.metrics.items()}
        self.stage.tracker.log_metrics(metrics, (self.trainer or engine).state.epoch)
