from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from scripts.training.handlers import History, parameter_groups
from scripts.training.several import draw
from torch import nn


def test_history_has_scores_of_the_epochs_that_were_validated(tmp_path):
    trainer, evaluator = Engine(lambda _e, _b: {"loss": 1.0}), Engine(lambda _e, _b: None)
    evaluator.add_event_handler(Events.EPOCH_COMPLETED, lambda e: e.state.metrics.update(miou=0.5))
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: evaluator.run([0]))
    history = History(tmp_path / "h.json", evaluator)
    history.attach(trainer)
    trainer.run([0], max_epochs=5)
    assert [r.get("val_miou") for r in history.epochs] == [None, 0.5, None, 0.5, None]


def test_parameter_groups():
    network = nn.ModuleDict({"extractor": nn.Linear(2, 3), "class_head": nn.Linear(3, 1)})
    old, new = parameter_groups(network, 0.1, factor=5)
    assert [len(old["params"]), old["lr"], len(new["params"]), new["lr"]] == [2, 0.1, 2, 0.5]
    with pytest.raises(ValueError, match="some, not all"):
        parameter_groups(network, 0.1, old="nothing")


def test_an_epoch_of_so_many_patches():
    torch.manual_seed(0)
    assert sorted(draw(range(5))) == list(range(5)) and sorted(draw(range(5), 9)) == list(range(5))
    epochs = [list(draw(range(50), 10)) for _ in range(2)]
    assert all(len(set(epoch)) == 10 for epoch in epochs) and set(epochs[0]) != set(epochs[1])
