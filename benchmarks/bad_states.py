"""What stages keep of their work, with drawn damage: a state is taken up as it was, or the work starts anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from damage import Case, damaged_bytes
from ignite.engine import Engine
from scripts.core.file_states import FileStates
from scripts.run.journal import JOURNAL, read_journal
from scripts.run.record import RECORD, read_record
from scripts.training.resume import Resume

__all__ = ["damaged_state"]

INDEX = "file_states.json"


def damaged_state(rng: np.random.Generator) -> Case:
    """The state of a training, the record or the journal of a stage, or the index of files that were read."""
    seed = int(rng.integers(2**31))
    kinds: list[tuple[str, Callable, Callable, Any]] = [
        ("last.pt", _train, _take_up, "taken up as it was"),
        (RECORD, _record, _recorded, None),
        (JOURNAL, _journal, lambda path: len(read_journal(path.parent)) in (0, 1), True),
        (INDEX, _index, _indexed, True),
    ]
    name, make, read, truth = kinds[int(rng.integers(len(kinds)))]

    def write(folder: Path) -> Path:
        make(folder)
        path = folder / name
        path.write_bytes(damaged_bytes(path.read_bytes(), np.random.default_rng(seed))[1])
        return path

    return Case("state", f"{name}, seed {seed}", write, read, truth, noticeable=truth is not None)


def _training(folder: Path) -> tuple[Resume, Engine, torch.nn.Module]:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    engine = Engine(lambda engine, batch: None)
    engine.state.epoch, engine.state.max_epochs = 2, 5
    stage = SimpleNamespace(folder=folder, save_time=lambda: None)
    return Resume(stage, {"network": network, "optimizer": optimizer}), engine, network


def _trained(folder: Path) -> tuple[Resume, Engine, torch.nn.Module]:
    resume, engine, network = _training(folder)
    network(torch.ones(1, 3)).sum().backward()
    resume.objects["optimizer"].step()
    return resume, engine, network


def _train(folder: Path) -> None:
    resume, engine, _ = _trained(folder)
    resume.save(engine)


def _take_up(path: Path) -> str:
    """Taken up, or begun anew with the damaged file beside: anything between the two is a fault."""
    resume, engine, network = _training(path.parent)
    fresh = network.weight.clone()
    resume.load(engine)
    if path.is_file():
        _, _, trained = _trained(path.parent)
        return "taken up as it was" if torch.equal(network.weight, trained.weight) else "taken up, with other weights"
    kept = [p for p in path.parent.iterdir() if p.name.startswith("last.")]
    if len(kept) != 1 or not torch.equal(network.weight, fresh):
        raise KeyError(f"begun anew from another state, or the damaged one is lost: {kept}")
    raise ValueError(f"{path}: put aside as {kept[0].name}")


def _record(folder: Path) -> None:
    content = {"stage": "train", "state": "finished", "fingerprint": "f" * 64, "parts": {"data": "d"}, "max_epochs": 3}
    (folder / RECORD).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _recorded(path: Path) -> dict[str, Any]:
    if not (record := read_record(path.parent)):
        raise ValueError(f"{path}: no record, the stage starts anew")
    return record


def _journal(folder: Path) -> None:
    lines = [{"run": "r", "name": "train", "experiment": "e", "time": 1}]
    lines += [{"metrics": {"loss": 0.5}, "step": step, "time": step} for step in range(5)]
    (folder / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _index(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        (folder / name).write_text(name)
    entries = {str(p): [5, 1, "0" * 64] for p in folder.iterdir()}
    (folder / INDEX).write_text(json.dumps(entries), encoding="utf-8")


def _indexed(path: Path) -> bool:
    """The digest is that of the files, whatever the index says of files that have changed since."""
    files = sorted(path.parent.glob("*.png"))
    return FileStates(path).digest(files) == FileStates().digest(files)
