from __future__ import annotations

import pytest
import torch
from scripts.core import devices
from scripts.core.devices import checked_device, known_devices


def test_devices_that_are_there():
    assert known_devices()[0] == "cpu"
    for name in (*known_devices(), "cpu:0", torch.device("cpu")):
        assert checked_device(name) == torch.device(name)


@pytest.mark.parametrize("value", ["banana", "", None, 1.5, True, [], "meta", "cuda:99", 99, torch.device("cuda:99")])
def test_others_are_refused_with_those_that_are(value):
    with pytest.raises(ValueError, match=f"expected a device of this machine: {', '.join(known_devices())}"):
        checked_device(value)


@pytest.mark.parametrize(("value", "name"), [("cuda", "cuda"), ("cuda:1", "cuda:1"), (1, "cuda:1"), (0, "cuda:0")])
def test_gpus_by_name_and_number(monkeypatch, value, name):
    monkeypatch.setattr(devices, "known_devices", lambda: ["cpu", "cuda:0", "cuda:1"])
    assert checked_device(value) == torch.device(name)
    with pytest.raises(ValueError, match=r"found 'cuda:2', expected a device of this machine: cpu, cuda:0, cuda:1$"):
        checked_device("cuda:2")
