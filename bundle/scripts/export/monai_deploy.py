"""Both networks and the gate as ``model.ts`` of MONAI Deploy: TorchScript that says what is done before and after it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.atomic import atomic_path
from ..weights.description import Description
from ..weights.files import Weights
from ..weights.metadata import model_metadata
from .agreement import agreement, check_agreement
from .export_description import describe_export
from .torchscript import add_texts, read_torchscript, write_torchscript

__all__ = ["MODEL", "deploy_config", "write_monai_deploy"]

#: Name that MONAI Deploy looks for. It finds the texts within a file by the file's own name alone.
MODEL = "model.ts"


def write_monai_deploy(
    path: str | Path,
    network: nn.Module,
    weights: Mapping[str, Weights],
    gate_threshold: Sequence[float],
    patches: torch.Tensor,
    example: torch.Tensor,
) -> dict[str, Any]:
    """Write TorchScript with ``metadata.json``, ``inference.json`` and ``description.json`` within it.

    Args:
        path: ``.../model.ts``.
        network: :class:`~.gated_graph.GatedGraph`, in evaluation mode, on the CPU.
        weights: those of both networks, by their kinds.
        gate_threshold: probability up to which each class is gated.
        patches: ``(N, 3, H, W)`` in [0, 1] on which it is compared with PyTorch.
        example: images to trace with, where a network cannot be scripted.

    Returns:
        Figures of the check.

    Raises:
        ValueError: a network that cannot be exported, or a graph that gives something else than PyTorch.
        OSError: it cannot be written.
    """
    path, segmenter = Path(path), weights["segmenter"].description
    with atomic_path(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent, prefix=temporary.name) as folder:
        named = Path(folder) / path.name  # TorchScript takes the name of its file into the file
        how = write_torchscript(network, named, example)
        check = agreement(read_torchscript(named), network, patches, nn.Identity())
        check_agreement(check, path.name, "torchscript")
        texts = {
            "metadata.json": model_metadata(segmenter),
            "inference.json": deploy_config(segmenter),
            "description.json": describe_export("gated", "torchscript", weights, gate_threshold, how, check),
        }
        add_texts(named, {name: json.dumps(text, indent=1) for name, text in texts.items()})
        os.replace(named, temporary)
    return check


def deploy_config(segmenter: Description) -> dict[str, Any]:
    """What MONAI Deploy does with an RGB image ``(H, W, 3)`` of values 0 to 255, of MONAI's own components alone.

    Windows have the size of the training patches and the overlap that the weights record: MONAI's windows are of one size.

    Args:
        segmenter: what its weights are.

    Returns:
        ``preprocessing`` of ``image``, ``inferer``, and ``postprocessing``, which makes ``pred`` a label map ``(1, H, W)``.
    """
    return {
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": -1},
                {
                    "_target_": "ScaleIntensityRanged",
                    "keys": "image", "a_min": 0, "a_max": 255, "b_min": 0.0, "b_max": 1.0, "clip": True,
                },
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(segmenter.patch_size),
            "sw_batch_size": 16,
            "overlap": segmenter.inference.get("overlap", 0.5),
            "mode": "gaussian",
            "padding_mode": "replicate",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}],
        },
    }  # fmt: skip
