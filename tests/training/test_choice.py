from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from scripts.training.choice import BestModel, EarlyStop
from torch import nn


def _scored(handler, scores, act=lambda epoch: None):
    """An evaluator with these scores, one run after the other; how many there were before the trainer was ended."""
    trainer, evaluator = Engine(lambda _e, _b: None), Engine(lambda _e, _b: None)
    handler = handler(trainer)
    evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(s=scores[trainer.state.epoch - 1])
    )
    handler.attach(evaluator)

    def validate(engine):
        act(engine.state.epoch)
        evaluator.run([0])

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    trainer.run([0], max_epochs=len(scores))
    return handler, trainer.state.epoch


@pytest.mark.parametrize(
    ("metric", "scores", "kept"),
    [
        ("s", [0.2, 0.7, 0.5, float("nan")], 2),
        ("s", [0.7, 1.0, 1.0, 0.9], 3),  # of equal ones the later
        ("s", [float("nan"), float("nan")], 1),  # some weights must exist
        (None, [0.7, 1.0, 0.5, 0.2], 4),
    ],
)
def test_the_epoch_that_is_kept(tmp_path, metric, scores, kept):
    network = nn.Linear(1, 1, bias=False)
    best, epochs = _scored(
        lambda trainer: BestModel(network, tmp_path / "b.pt", metric, trainer),
        scores,
        lambda epoch: nn.init.constant_(network.weight, float(epoch)),
    )
    assert epochs == len(scores)
    assert torch.load(tmp_path / "b.pt", weights_only=True)["weight"].item() == kept == best.epoch


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [
        ([0.5, 0.4, 0.3, 0.2], 3),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 5),  # few patches, few different scores: no loss
        ([0.5, 0.4, 0.5, 0.4, 0.3], 4),  # nor a gain
        ([0.5, 0.4, 0.6, 0.5, 0.4, 0.3], 5),
        ([0.5, float("nan"), float("nan"), 0.6], 3),
        ([float("nan"), float("nan"), 0.6], 2),
    ],
)
def test_a_training_ends_after_two_scores_below_the_best(scores, epochs):
    assert _scored(lambda trainer: EarlyStop(2, "s", trainer), scores)[1] == epochs


def test_patience_is_a_number_of_validations():
    with pytest.raises(ValueError, match="patience: expected a number of validations of at least 1, or null, found 0"):
        EarlyStop(0, "s", Engine(lambda _e, _b: None))
