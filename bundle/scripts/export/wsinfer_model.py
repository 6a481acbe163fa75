"""The classifier as a model of WSInfer, which QuPath runs on slides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.atomic import atomic_path, write_json
from ..core.digest import file_sha256
from ..weights.files import Weights
from .agreement import agreement, check_agreement
from .export_description import describe_export
from .torchscript import read_torchscript, write_torchscript

__all__ = ["Shares", "write_wsinfer"]

#: Names that WSInfer and QuPath look for.
_MODEL, _CONFIG, _DESCRIPTION = "torchscript_model.pt", "config.json", "description.json"


class Shares(nn.Module):
    """A classifier of several labels, whose softmax is each label's probability divided by the sum of all.

    WSInfer takes a softmax of what a network gives, as of classes of which one is true; of logits of several labels
    that would make no probabilities. Of the logarithms that this gives it makes shares, in the order of the probabilities.

    Args:
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logarithms of probabilities ``(N, C)`` for images ``(N, 3, H, W)`` float32 in [0, 1]."""
        return torch.nn.functional.logsigmoid(self.classifier(image))


def write_wsinfer(folder: str | Path, weights: Weights, patches: torch.Tensor, example: torch.Tensor) -> dict[str, Any]:
    """Write the folder of a model: ``torchscript_model.pt``, ``config.json`` (specification 1.0) and ``description.json``.

    Args:
        folder: the model's own folder.
        weights: of the classifier.
        patches: ``(N, 3, H, W)`` in [0, 1] on which it is compared with PyTorch.
        example: images to trace with, where the network cannot be scripted.

    Returns:
        Figures of the check.

    Raises:
        ValueError: patches that are no squares, an unknown µm/px, or a graph that gives something else than PyTorch.
    """
    folder, facts, (height, width) = Path(folder), weights.facts, weights.description.patch_size
    if height != width or facts.mpp is None:
        raise ValueError(
            f"form wsinfer: found patches of {height} x {width} px at {facts.mpp} µm/px, expected squares at a known µm/px; "
            "train on such, and say mpp in the dataset file"
        )
    network = Shares(weights.network).eval()
    with atomic_path(folder / _MODEL) as temporary:
        how = write_torchscript(network, temporary, example)
        check = agreement(read_torchscript(temporary), network, patches, lambda logs: torch.softmax(logs, dim=1))
        check_agreement(check, f"{folder.name}/{_MODEL}", "torchscript", by_pixel=False)
    config = {
        "spec_version": "1.0",
        "architecture": weights.description.network["component"],
        "num_classes": facts.num_classes,
        "patch_size_pixels": height,
        "spacing_um_px": facts.mpp,
        "class_names": list(facts.classes),
        "transform": [{"name": "Resize", "arguments": {"size": height}}, {"name": "ToTensor"}],
    }
    content = describe_export("classifier", "torchscript", {"classifier": weights}, None, how, check)
    content["output"]["name"] = "log probabilities"
    content["output"]["probabilities_by"] = "exp; softmax gives each one's share of their sum"
    write_json(folder / _DESCRIPTION, {**content, "sha256": file_sha256(folder / _MODEL)})
    write_json(folder / _CONFIG, config)
    return check
