from __future__ import annotations

import pickle

import pytest
import torch
from scripts.core.facts import DatasetFacts, load_facts
from scripts.weights.files import load_weights, save_facts
from torch import nn


class _Code:
    def __reduce__(self):
        return (exec, ("raise SystemError('code ran')",))


def test_round_trip(tmp_path):
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    torch.save(one.state_dict(), tmp_path / "w.pt")
    assert load_weights(other, tmp_path / "w.pt") is other
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"weight": torch.zeros(2, 3)}, r"1 keys missing \['bias'\]"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "x": torch.zeros(1)}, r"1 unknown \['x'\]"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, r"found \(2, 4\), expected \(2, 3\)"),
        ([1, 2], "state dict"),
    ],
)
def test_other_networks(tmp_path, state, says):
    network = nn.Linear(3, 2)
    before = network.weight.clone()
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=says) as error:
        load_weights(network, tmp_path / "w.pt")
    assert "w.pt" in str(error.value) and torch.equal(network.weight, before)


def test_damaged_absent_and_hostile_files(tmp_path):
    path = tmp_path / "w.pt"
    with pytest.raises(FileNotFoundError, match=r"w\.pt"):
        load_weights(nn.Linear(1, 1), path)
    torch.save(nn.Linear(100, 100).state_dict(), path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"w\.pt"):
        load_weights(nn.Linear(100, 100), path)
    path.write_bytes(pickle.dumps(_Code()))
    with pytest.raises(ValueError, match=r"w\.pt"):
        load_weights(nn.Linear(1, 1), path)


def test_facts_stand_beside_the_weights(tmp_path):
    path = save_facts(DatasetFacts(classes=("a", "b")), tmp_path, (96, 112))
    assert path.name == "classes.json" and load_facts(path).patch_size == (96, 112)
