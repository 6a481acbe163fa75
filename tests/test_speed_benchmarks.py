"""The contestants of the speed benchmarks compute the same thing, each in its own way."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import default_networks
import pseudo_masks
from scripts.networks.depthwise import DepthwiseConv2d
from scripts.networks.efficientnet import SameConv2d


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["classifier", "segmenter"])
def test_losses_and_gradients_of_the_contestants_agree(name, dtype):
    theirs, ours = (default_networks.Step(name, mine, dtype == "bfloat16", 32) for mine in (False, True))
    differences = default_networks.agree(theirs, ours, default_networks.ROUNDING[dtype])
    assert differences.keys() == {"loss", "gradient"}
    with torch.no_grad():
        for weight in ours.network.parameters():
            weight.mul_(0.5)
    theirs.network.load_state_dict(ours.network.state_dict())
    theirs.label = theirs.label.roll(1, 0)
    with pytest.raises(RuntimeError, match="different things"):
        default_networks.agree(theirs, ours, default_networks.ROUNDING[dtype])


@pytest.mark.parametrize(("name", "batch_size"), [("classifier", 16), ("segmenter", 8)])
def test_plain_is_pytorch_at_every_depthwise_convolution(name, batch_size):
    step = default_networks.Step(name, True, False, 32)
    assert step.batch_size == batch_size
    step.backward()  # what gets a gradient is part of the step
    trained = [m for m in step.network.modules() if isinstance(m, torch.nn.Conv2d) and m.weight.grad is not None]
    depthwise = [m for m in trained if isinstance(m, DepthwiseConv2d) or (isinstance(m, SameConv2d) and m.groups > 1)]
    for context, ours in ((nullcontext(), len(depthwise)), (default_networks.plain_gradients(), 0)):
        with context:
            found = _operations(step.loss(step.inferer(step.image, step.network), step.label))
        assert found.count("_DepthwiseConv2dBackward") == ours
        assert found.count("ConvolutionBackward0") == len(trained) - ours


def _operations(value):
    """Names of the nodes of a value's graph, each node once."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return [node.name() for node in seen]


def test_differing_pixels_are_counted():
    assert pseudo_masks.compared(np.array([[0, 1], [2, 3]]), np.array([[0, 1], [3, 3]])) == {"pixels": 1, "of": 4}


def test_pseudo_masks_of_all_schemes_are_alike(tmp_path, monkeypatch, capsys):
    words = "--size 32 --patches 4 --plain-patches 2 --batch-size 2 --rounds 1 --width 0.25 --device cpu --out"
    monkeypatch.setattr(sys, "argv", ["pseudo_masks.py", *words.split(), str(tmp_path / "record.json")])
    pseudo_masks.main()
    found = json.loads((tmp_path / "record.json").read_text())["results"]
    assert found["seconds"].keys() == {"plain, 12 passes", "multi, no Winograd", "multi", "mix"}
    plain, direct = (found["differing"][name] for name in ("plain, 12 passes", "no Winograd"))
    assert plain["of"] == 2 * 3 * 32 * 32 and direct["of"] == 4 * 3 * 32 * 32
    assert plain["pixels"] <= 6 and direct["pixels"] <= 12
    assert f"{plain['pixels']:,} of 6,144" in capsys.readouterr().out
