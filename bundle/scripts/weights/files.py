"""Weights on disk: written with their description, and read by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.atomic import save_state, write_json
from ..core.digest import file_sha256
from ..core.facts import DatasetFacts
from ..networks.registry import build
from .description import Description, description_path, existing, read_description
from .metadata import model_metadata
from .states import fitting, read_checkpoint, tensors

__all__ = ["Weights", "build_network", "load_state", "load_weights", "save_weights", "write_description"]

_SLACK = 2**20
# multiple of its final size that a network may have while it is built: layers of another that it takes a part of
_WHILE_BUILT = 4


@dataclass(frozen=True)
class Weights:
    """A network with its trained weights.

    Args:
        network: the network, on the CPU, in evaluation mode.
        description: what it is.
    """

    network: nn.Module
    description: Description

    @property
    def facts(self) -> DatasetFacts:
        """Facts of the dataset that was trained on."""
        return self.description.facts


def save_weights(
    path: str | Path, network: nn.Module, description: Mapping[str, Any], scores: Mapping[str, Any] | None = None
) -> None:
    """Write a state dict, and beside it the description with its SHA-256.

    Args:
        path: ``<folder>/<name>.pt``; the description is ``<folder>/<name>.json``.
        network: its state dict is written.
        description: as :func:`~.description.describe` gives it.
        scores: validation scores.
    """
    path = Path(path)
    save_state(path, {name: value.detach().cpu() for name, value in network.state_dict().items()})
    write_description(path, description, scores)


def write_description(path: str | Path, description: Mapping[str, Any], scores: Mapping[str, Any] | None = None) -> None:
    """Write the description of weights that are there, with their SHA-256, beside them; and MONAI's metadata of a segmenter.

    Args:
        path: file of weights.
        description: as :func:`~.description.describe` gives it.
        scores: validation scores.
    """
    path = Path(path)
    write_json(description_path(path), {**description, "scores": dict(scores or {}), "sha256": file_sha256(path)})
    if description.get("kind") == "segmenter":
        write_json(path.parent / "metadata.json", model_metadata(read_description(path)))


def build_network(path: str | Path, kind: str | None = None) -> nn.Module:
    """The network that a file of weights is for, by its description, with random weights.

    Args:
        path: file of weights; it need not be there, its description must.
        kind: kind that is expected; ``None``: any.

    Raises:
        FileNotFoundError: neither weights nor description.
        ValueError: see :func:`~.description.read_description` and :func:`~scripts.networks.build`; or a network larger than
            the file of weights.
    """
    path = Path(path)
    source = str(description_path(path))
    content = read_description(path, kind).network
    if not path.is_file():
        return build(content, source)
    found = path.stat().st_size + _SLACK
    needed = _size(content, source)
    if needed is not None and needed > found:
        raise ValueError(f"{source}: a network of {needed} bytes of weights, {path} has {path.stat().st_size}")
    return build(content, source, math.inf if needed is not None else _WHILE_BUILT * found)


def load_weights(
    path: str | Path, kind: str, network: nn.Module | None = None, facts: DatasetFacts | None = None
) -> Weights:
    """Read weights by their description.

    Args:
        path: file of tensors alone; it is read with ``weights_only=True`` and runs no code.
        kind: ``"classifier"`` or ``"segmenter"``.
        network: network to fill; built from the description by default.
        facts: whose classes the weights must have, as those of a dataset that they are to be used on.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no description, or one that does not fit; weights that are not those described, damaged, of another
            network, or not finite; other classes than asked for. The message names the file.
    """
    path = Path(path)
    description = read_description(path, kind)
    found = file_sha256(existing(path))
    if found != description.sha256:
        raise ValueError(
            f"{path}: not the weights that {description_path(path).name} describes: found SHA-256 {found[:12]}..., expected "
            f"{description.sha256[:12]}...; copy both files from one place"
        )
    if facts is not None and facts.classes != description.facts.classes:
        raise ValueError(
            f"{path}: found classes {list(description.facts.classes)}, expected {list(facts.classes)} of the dataset; name "
            "the weights that were trained on it"
        )
    network = build_network(path, kind) if network is None else network
    return Weights(load_state(network, path).eval(), description)


def load_state(network: nn.Module, path: str | Path) -> nn.Module:
    """Load a state dict into a network and return it.

    Args:
        network: network of the very shape that was trained.
        path: file of tensors alone.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a state dict, one of another network, or values that are not finite; the message names the file and
            the entries.
    """
    path = existing(path)
    own = network.state_dict()
    state = tensors(read_checkpoint(path), path)
    network.load_state_dict(fitting(state, own, path, f"does not fit {type(network).__name__}", needed=own))
    return network


def _size(content: Mapping[str, Any], source: str) -> int | None:
    """Bytes of a network's state, found without allocating it; ``None`` for one that cannot be built so."""
    try:
        with torch.device("meta"):
            state = build(content, source).state_dict()
    except (RuntimeError, ValueError):  # its constructor looks at values, or it has none
        return None
    return sum(value.numel() * value.element_size() for value in state.values())
