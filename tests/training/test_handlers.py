from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from scripts.data.split import split_by_group
from scripts.training.handlers import BestModel, EpochSeed, History, Resume, draw, parameter_groups
from torch import nn


class Killed(Exception):
    pass


def _run(folder, epochs, kill_at=None):
    """A small training with momentum, dropout, random data order, scheduler, best weights and early stopping."""
    torch.manual_seed(0)
    data = [(torch.full((4, 6), i / 5), torch.tensor([i % 2] * 4)) for i in range(5)]
    network = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5 * epochs + 1)

    def step(engine, batch):
        if kill_at == engine.state.iteration:
            raise Killed
        network.train()
        loss = nn.functional.cross_entropy(network(batch[0] + torch.randn_like(batch[0])), batch[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return {"loss": loss.item()}

    trainer, evaluator = Engine(step), Engine(lambda _e, _b: None)

    def score(engine):
        network.eval()
        with torch.no_grad():
            engine.state.metrics["score"] = float(network(torch.ones(1, 6))[0, 0])

    evaluator.add_event_handler(Events.EPOCH_COMPLETED, score)
    best = BestModel(network, folder / "best.pt", "score", trainer)
    stop = EarlyStopping(3, lambda e: e.state.metrics["score"], trainer)
    history = History(folder / "history.json", evaluator, optimizer)
    EpochSeed(7).attach(trainer)
    best.attach(evaluator)
    evaluator.add_event_handler(Events.COMPLETED, stop)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
    history.attach(trainer)
    objects = {
        "network": network,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "best": best,
        "stop": stop,
        "history": history,
    }
    Resume(SimpleNamespace(folder=folder, save_time=lambda: None), objects, [folder / "best.pt"]).attach(trainer)
    trainer.run(torch.utils.data.DataLoader(data, batch_size=None, shuffle=True), max_epochs=epochs)
    return (
        network.state_dict(),
        torch.load(folder / "best.pt", weights_only=True),
        json.loads((folder / "history.json").read_text()),
    )


@pytest.mark.parametrize("kill_at", [1, 5, 6, 13, 20])
def test_killed_and_continued_ends_like_unbroken(tmp_path, kill_at):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    expected = _run(tmp_path / "whole", 4)
    with pytest.raises(Killed):
        _run(tmp_path / "broken", 4, kill_at)
    found = _run(tmp_path / "broken", 4)
    for a, b in zip(expected[:2], found[:2], strict=True):
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert expected[2] == found[2] and len(found[2]) <= 4


def test_finished_training_does_nothing_more(tmp_path):
    first = _run(tmp_path, 3)
    stamp = (tmp_path / "last.pt").stat().st_mtime_ns
    second = _run(tmp_path, 3)
    assert first[2] == second[2] and (tmp_path / "last.pt").stat().st_mtime_ns == stamp


def test_damaged_state_names_the_file(tmp_path):
    _run(tmp_path, 2)
    (tmp_path / "last.pt").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"last\.pt.*delete it"):
        _run(tmp_path, 2)


def test_an_epoch_without_a_batch_is_refused(tmp_path):
    trainer = Engine(lambda _e, _b: None)
    trainer.state.epoch_length = 0
    with pytest.raises(ValueError, match="an epoch has no batch"):
        Resume(SimpleNamespace(folder=tmp_path), {}).attach(trainer)


def test_history_has_scores_of_the_epochs_that_were_validated(tmp_path):
    trainer, evaluator = Engine(lambda _e, _b: {"loss": 1.0}), Engine(lambda _e, _b: None)
    evaluator.add_event_handler(Events.EPOCH_COMPLETED, lambda e: e.state.metrics.update(miou=0.5))
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: evaluator.run([0]))
    history = History(tmp_path / "h.json", evaluator)
    history.attach(trainer)
    trainer.run([0], max_epochs=5)
    assert [r.get("val_miou") for r in history.epochs] == [None, 0.5, None, 0.5, None]


def test_best_model_keeps_the_highest_score(tmp_path):
    network = nn.Linear(1, 1, bias=False)
    best, engine = BestModel(network, tmp_path / "b.pt", "s"), Engine(lambda _e, _b: None)
    best.attach(engine)
    for epoch, (weight, score) in enumerate([(1.0, 0.2), (2.0, 0.7), (3.0, 0.5), (4.0, float("nan"))]):
        nn.init.constant_(network.weight, weight)
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), lambda e, s=score: e.state.metrics.update(s=s))
        engine.run([epoch])
    assert torch.load(tmp_path / "b.pt", weights_only=True)["weight"].item() == 2.0 and best.score == 0.7


def test_parameter_groups():
    network = nn.ModuleDict({"extractor": nn.Linear(2, 3), "class_head": nn.Linear(3, 1)})
    old, new = parameter_groups(network, 0.1, factor=5)
    assert [len(old["params"]), old["lr"], len(new["params"]), new["lr"]] == [2, 0.1, 2, 0.5]
    with pytest.raises(ValueError, match="some, not all"):
        parameter_groups(network, 0.1, old="nothing")


def test_split_by_group_keeps_groups_together():
    entries = [{"name": str(i), "group": str(i // 4)} for i in range(40)]
    kept, held = split_by_group(entries, 0.2, 3)
    assert len(held) == 8 and len(kept) == 32
    assert not {e["group"] for e in kept} & {e["group"] for e in held}
    assert (kept, held) == split_by_group(entries, 0.2, 3)
    assert split_by_group(entries[:4], 0.2, 3) == (entries[:4], entries[:4])


def test_an_epoch_of_so_many_patches():
    torch.manual_seed(0)
    assert sorted(draw(range(5))) == list(range(5)) and sorted(draw(range(5), 9)) == list(range(5))
    epochs = [list(draw(range(50), 10)) for _ in range(2)]
    assert all(len(set(epoch)) == 10 for epoch in epochs) and set(epochs[0]) != set(epochs[1])
