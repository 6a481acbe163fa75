"""Loading and describing trained weights."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..core.atomic import write_json
from ..core.facts import DatasetFacts

__all__ = ["FACTS_NAME", "load_weights", "save_facts"]

#: File beside the weights that says what their channels mean.
FACTS_NAME = "classes.json"


def load_weights(network: nn.Module, path: str | Path) -> nn.Module:
    """Load a state dict into a network and return it.

    Args:
        network: network of the very shape that was trained.
        path: file of tensors alone; it is read with ``weights_only=True`` and runs no code.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a state dict, or one of another network; the message names the file and the keys.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: train first, or name a file that exists")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: not a file of weights, or a damaged one ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ValueError(f"{path}: expected a state dict of tensors, found {type(state).__name__}")
    own = network.state_dict()
    missing, surplus = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    shapes = [
        f"{k}: found {tuple(state[k].shape)}, expected {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    if missing or surplus or shapes:
        raise ValueError(
            f"{path} does not fit {type(network).__name__}: {len(missing)} keys missing {missing[:3]}, "
            f"{len(surplus)} unknown {surplus[:3]}, {len(shapes)} of another shape {shapes[:3]}"
        )
    network.load_state_dict(state)
    return network


def save_facts(facts: DatasetFacts, model_dir: str | Path, patch_size: tuple[int, int]) -> Path:
    """Write ``classes.json`` beside the weights: the facts, with the window size (height, width) that was trained on."""
    path = Path(model_dir) / FACTS_NAME
    write_json(path, replace(facts, patch_size=tuple(patch_size), published={}).to_dict())
    return path
