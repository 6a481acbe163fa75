"""Weights, their descriptions and published parameters with drawn damage."""

from __future__ import annotations

import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from damage import Case, damaged_bytes, replaced
from scripts.core.digest import file_sha256
from scripts.core.facts import DatasetFacts
from scripts.networks import EfficientNetLite0, TissueClassifier
from scripts.weights.description import describe
from scripts.weights.files import load_weights, save_weights
from scripts.weights.mxnet_params import read_mxnet_params

__all__ = ["damaged_description", "damaged_parameters", "damaged_tensor", "damaged_weights"]

FACTS = DatasetFacts(classes=("gland", "stroma"), name="drawn", mpp=0.5, patch_size=(32, 32), label_threshold=0.05)


def _saved(folder: Path) -> tuple[Path, torch.nn.Module, dict[str, Any]]:
    torch.manual_seed(0)
    network = TissueClassifier(EfficientNetLite0(pretrained=False), FACTS.num_classes)
    content = describe(network, "classifier", FACTS, (32, 32), gate_threshold=0.1)
    save_weights(folder / "classifier.pt", network, content)
    return folder / "classifier.pt", network, json.loads((folder / "classifier.json").read_text(encoding="utf-8"))


def damaged_description(rng: np.random.Generator) -> Case:
    """The description of weights: read as something of the right types, or refused."""

    def write(folder: Path, seed: int) -> Path:
        path, _, content = _saved(folder)
        rng = np.random.default_rng(seed)
        data = json.dumps(replaced(content, rng)[1] if rng.random() < 0.8 else content).encode()
        path.with_suffix(".json").write_bytes(data if rng.random() < 0.9 else damaged_bytes(data, rng)[1])
        return path

    seed = int(rng.integers(2**31))
    read = partial(lambda path: load_weights(path, "classifier") and None)
    return Case("description of weights", f"seed {seed}", partial(write, seed=seed), read, None, False, "classifier.json")


def damaged_tensor(rng: np.random.Generator) -> Case:
    """A tensor that no training wrote, in weights whose digest is right."""
    changes = {
        "not a number": lambda v: v.clone().fill_(float("nan")),
        "infinite": lambda v: v.clone().fill_(float("inf")),
        "complex": lambda v: v.to(torch.complex64),
        "whole numbers": lambda v: v.to(torch.int32),
        "another shape": lambda v: v[..., None],
        "sparse": lambda v: v.to_sparse(),
        "text": lambda v: "text",
        "quantised": lambda v: torch.quantize_per_tensor(v.float(), 0.1, 0, torch.qint8),
        "taken out": lambda v: None,
    }
    damage = sorted(changes)[int(rng.integers(len(changes)))]
    seed = int(rng.integers(2**31))

    def write(folder: Path) -> Path:
        path, network, content = _saved(folder)
        state = network.state_dict()
        names = [k for k, v in state.items() if v.is_floating_point()]
        name = names[seed % len(names)]
        value = changes[damage](state[name])
        state = {k: value if k == name else v for k, v in state.items() if k != name or value is not None}
        torch.save(state, path)
        content["sha256"] = file_sha256(path)
        path.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
        return path

    return Case("weights: a tensor", f"{damage}, seed {seed}", write, lambda path: load_weights(path, "classifier"), None)


def damaged_weights(rng: np.random.Generator) -> Case:
    """Damaged bytes of weights, with a digest that fits them."""
    seed = int(rng.integers(2**31))

    def write(folder: Path) -> Path:
        path, _, content = _saved(folder)
        path.write_bytes(damaged_bytes(path.read_bytes(), np.random.default_rng(seed))[1])
        content["sha256"] = file_sha256(path)
        path.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
        return path

    read = partial(lambda path: load_weights(path, "classifier") and None)
    return Case("weights: damaged", f"bytes, seed {seed}", write, read, None, False)


def damaged_parameters(rng: np.random.Generator) -> Case:
    """Published parameters in MXNet's form."""
    arrays = {"arg:a_weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "aux:b_mean": np.ones(5, np.float32)}
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        shape = struct.pack(f"<I{array.ndim}q", array.ndim, *array.shape)
        data += struct.pack("<Ii", 0xF993FAC9, 0) + shape + struct.pack("<iii", 1, 0, 0) + array.tobytes()
    data += struct.pack("<Q", len(arrays))
    data += b"".join(struct.pack("<Q", len(name)) + name.encode() for name in arrays)
    damage, data = damaged_bytes(data, rng)
    read = partial(lambda path: {k: v.tolist() for k, v in read_mxnet_params(path).items()})
    truth = {k: v.tolist() for k, v in arrays.items()}

    def write(folder: Path) -> Path:
        (folder / "resnet38.params").write_bytes(data)
        return folder / "resnet38.params"

    return Case("published parameters", damage, write, read, truth, noticeable=False)
