from __future__ import annotations

import hashlib
import json
import pickle
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from scripts.training.choice import BestModel, EarlyStop
from scripts.training.handlers import EpochSeed, History
from scripts.training.resume import Resume
from torch import nn


class Killed(Exception):
    pass


def _one_cycle(optimizer, epochs):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5 * epochs + 1)


def _run(folder, epochs, kill_at=None, patience=3, schedule=_one_cycle, scores=None):
    """A small training with momentum, dropout, random data order, scheduler, best weights and early stopping."""
    torch.manual_seed(0)
    data = [(torch.full((4, 6), i / 5), torch.tensor([i % 2] * 4)) for i in range(5)]
    network = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    scheduler = schedule(optimizer, epochs)

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
        if scores:
            engine.state.metrics["score"] = scores[trainer.state.epoch - 1]

    evaluator.add_event_handler(Events.EPOCH_COMPLETED, score)
    best = BestModel(network, folder / "best.pt", "score", trainer)
    stop = EarlyStop(patience, "score", trainer)
    history = History(folder / "history.json", evaluator, optimizer)
    EpochSeed(7).attach(trainer)
    best.attach(evaluator)
    stop.attach(evaluator)
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


class _Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def _damage(folder, kind):
    state = folder / "last.pt"
    if kind == "truncated":
        state.write_bytes(state.read_bytes()[:-200])
    elif kind == "empty":
        state.write_bytes(b"")
    elif kind == "text":
        state.write_bytes(b"broken")
    elif kind == "code":
        state.write_bytes(pickle.dumps({"epoch": 1, "network": _Touch(folder / "ran")}, protocol=2))
    elif kind == "code in a zip":
        torch.save({"epoch": 1, "network": _Touch(folder / "ran")}, state)
    elif kind == "weights are gone":
        (folder / "best.pt").unlink()
    else:
        content = torch.load(state, weights_only=True)
        if kind == "other network":  # the first layer fits, so that half of it would be taken
            content["network"]["2.weight"] = torch.zeros(5, 8)
            content["network"]["0.weight"] = torch.zeros(8, 6)
        elif kind == "other optimiser":
            content["optimizer"]["param_groups"] *= 2
        elif kind == "too many epochs":
            content["epoch"] = 7
        else:
            del content["history"]
        torch.save(content, state)


@pytest.mark.parametrize(
    "kind",
    ["truncated", "empty", "text", "code", "code in a zip", "other network", "other optimiser", "lacking", "weights are gone", "too many epochs"],
)  # fmt: skip
def test_a_state_that_cannot_serve_is_kept_and_named_and_training_starts_anew(tmp_path, caplog, kind):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = _run(whole, 2)
    _run(broken, 2)
    _damage(broken, kind)
    found = (broken / "last.pt").read_bytes()
    name = f"last.{hashlib.sha256(found).hexdigest()[:8]}.pt"
    caplog.clear()
    again = _run(broken, 2)
    assert all(torch.equal(again[0][k], v) for k, v in expected[0].items()) and again[2] == expected[2]
    assert (broken / name).read_bytes() == found
    (message,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert str(broken / "last.pt") in message and name in message and "\n" not in message
    assert "weights_only" not in message
    assert not (broken / "ran").exists()


@pytest.mark.parametrize(("first", "kill_at"), [(4, None), (4, 13), (9, 13)])
def test_with_another_number_of_epochs_the_learning_rate_goes_on_in_the_new_schedule(tmp_path, first, kill_at):
    """Finished, interrupted, and with fewer epochs than it was to have: steps done count, the rest is of the new schedule."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "more").mkdir()
    expected = [row["lr"] for row in _run(tmp_path / "whole", 6, patience=9)[2]]
    if kill_at is None:
        before = _run(tmp_path / "more", first, patience=9)[2]
    else:
        with pytest.raises(Killed):
            _run(tmp_path / "more", first, kill_at, patience=9)
        before = json.loads((tmp_path / "more/history.json").read_text())
    *_, history = _run(tmp_path / "more", 6, patience=9)
    assert [row["epoch"] for row in history] == list(range(1, 7)) and history[: len(before)] == before
    assert [row["lr"] for row in history[len(before) :]] == pytest.approx(expected[len(before) :], rel=1e-12)
    assert before[-1]["lr"] != pytest.approx(expected[len(before) - 1], rel=1e-3)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer, epochs: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5 * epochs),
        lambda optimizer, epochs: torch.optim.lr_scheduler.PolynomialLR(optimizer, 5 * epochs, 0.9),
        lambda optimizer, epochs: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (5 * epochs)),
    ],
)
def test_other_schedules_go_on_in_the_new_one_too(tmp_path, schedule):
    (tmp_path / "whole").mkdir()
    (tmp_path / "more").mkdir()
    expected = [row["lr"] for row in _run(tmp_path / "whole", 5, schedule=schedule, patience=9)[2]]
    _run(tmp_path / "more", 3, schedule=schedule, patience=9)
    found = [row["lr"] for row in _run(tmp_path / "more", 5, schedule=schedule, patience=9)[2]]
    assert found[3:] == pytest.approx(expected[3:], rel=1e-9, abs=1e-15)


def test_what_stopped_early_stays_stopped_until_it_is_given_more_epochs(tmp_path):
    falling = [0.5, 0.4, 0.3, 0.2, 0.1]
    assert len(_run(tmp_path, 4, patience=2, scores=falling)[2]) == 3
    stamp = (tmp_path / "last.pt").stat().st_mtime_ns
    assert len(_run(tmp_path, 4, patience=2, scores=falling)[2]) == 3
    assert (tmp_path / "last.pt").stat().st_mtime_ns == stamp
    assert len(_run(tmp_path, 9, patience=2, scores=falling)[2]) == 5  # its whole patience anew


def test_an_epoch_without_a_batch_is_refused(tmp_path):
    trainer = Engine(lambda _e, _b: None)
    trainer.state.epoch_length = 0
    with pytest.raises(ValueError, match="an epoch has no batch"):
        Resume(SimpleNamespace(folder=tmp_path), {}).attach(trainer)


def test_a_state_of_another_number_of_processes_is_kept_and_training_starts_anew(tmp_path, caplog):
    """Whose epochs had another number of steps."""
    expected = _run(tmp_path / "one", 3)
    state = torch.load(tmp_path / "one/last.pt", weights_only=True)
    assert state["processes"] == 1
    torch.save({**state, "epoch": 2, "processes": 2}, tmp_path / "one/last.pt")
    found = _run(tmp_path / "one", 3)
    assert "(it is of 2 processes, found 1): it is kept as" in caplog.text
    assert len(list((tmp_path / "one").glob("*last*"))) == 2
    assert all(torch.equal(found[0][name], value) for name, value in expected[0].items())
