"""The segmenter as a model of the BioImage Model Zoo: one archive with what programs need to run it."""

from __future__ import annotations

import io
import re
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from ..core.atomic import atomic_path
from ..core.digest import file_sha256
from ..core.environment import bundle_version
from ..weights.files import Weights
from .agreement import agreement, check_agreement
from .export_description import describe_export
from .torchscript import read_torchscript, write_torchscript

__all__ = ["write_bioimageio"]

_SPECIFICATION = "0.5.3"
_PAPER = (
    "Han et al., Multi-layer pseudo-supervision for histopathology tissue semantic segmentation, Medical Image Analysis 2022"
)
_FILES = {"weights": "segmenter.ts", "image": "test_image.npy", "output": "test_probabilities.npy", "readme": "README.md"}


def write_bioimageio(path: str | Path, weights: Weights, patches: torch.Tensor, example: torch.Tensor) -> dict[str, Any]:
    """Write the archive: ``rdf.yaml`` (specification 0.5), TorchScript, a test image with what it gives, and a text.

    Args:
        path: the archive.
        weights: of the segmenter.
        patches: ``(N, 3, H, W)`` in [0, 1] on which it is compared with PyTorch; the first is the test image.
        example: images to trace with, where the network cannot be scripted.

    Returns:
        Figures of the check.

    Raises:
        ValueError: a graph that gives something else than PyTorch.
    """
    network = nn.Sequential(weights.network, nn.Softmax(dim=1)).eval()
    image = patches[:1].mul(255).round()
    with torch.inference_mode():
        output = network(image / 255)
    with tempfile.TemporaryDirectory() as scratch, atomic_path(path) as temporary:
        script = Path(scratch) / _FILES["weights"]
        how = write_torchscript(network, script, example)
        check = agreement(read_torchscript(script), network, patches, nn.Identity())
        check_agreement(check, Path(path).name, "torchscript")
        contents = {
            _FILES["weights"]: script.read_bytes(),
            _FILES["image"]: _array(image.numpy()),
            _FILES["output"]: _array(output.numpy()),
            _FILES["readme"]: _readme(weights, check).encode(),
        }
        description = describe_export("segmenter", "torchscript", {"segmenter": weights}, None, how, check)
        description["output"] = {**description["output"], "name": "probabilities", "probabilities_by": "the graph"}
        content = _resource(weights, description, file_sha256(script))
        contents["rdf.yaml"] = yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
    return check


def _resource(weights: Weights, description: dict[str, Any], digest: str) -> dict[str, Any]:
    facts = weights.facts
    name = re.sub(r"[^\w+\- ()]", " ", f"Tissue segmenter of {facts.name}", flags=re.ASCII)[:100]

    def space(axis: str, size: Any) -> dict[str, Any]:
        scale = {} if facts.mpp is None else {"scale": facts.mpp, "unit": "micrometer"}
        return {"type": "space", "id": axis, "size": size, **scale}

    any_size = {"min": 32, "step": 1}
    return {
        "type": "model",
        "format_version": _SPECIFICATION,
        "name": name,
        "description": f"Segments H&E images into {', '.join(facts.classes)}; trained on labels of patches alone."[:1000],
        "authors": [{"name": "who trained it"}],
        "cite": [{"text": _PAPER, "doi": "10.1016/j.media.2022.102487"}],
        "documentation": _FILES["readme"],
        "tags": ["histology", "semantic-segmentation", "2d", "pytorch"],
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "inputs": [
            {
                "id": "image",
                "description": "RGB, 0 to 255",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["red", "green", "blue"]},
                    space("y", any_size),
                    space("x", any_size),
                ],
                # what the network takes, too: whole numbers would be brought back to themselves after the scaling
                "data": {"type": "float32", "range": [0, 255]},
                "preprocessing": [{"id": "scale_linear", "kwargs": {"gain": 1 / 255, "offset": 0.0}}],
                "test_tensor": {"source": _FILES["image"]},
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "description": "of each tissue; the likeliest is the label",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": _identifiers(facts.classes)},
                    *(space(axis, {"tensor_id": "image", "axis_id": axis}) for axis in ("y", "x")),
                ],
                "data": {"type": "float32", "range": [0, 1]},
                "test_tensor": {"source": _FILES["output"]},
            }
        ],
        "weights": {
            "torchscript": {
                "source": _FILES["weights"],
                "sha256": digest,
                "pytorch_version": torch.__version__.partition("+")[0],
            }
        },
        "config": {"tissue_bundle": description},
    }


def _identifiers(names: tuple[str, ...]) -> list[str]:
    """Names of channels as the specification takes them, which differ still."""
    plain = [re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() for name in names]
    return [
        name if name and not name[0].isdigit() and plain.count(name) == 1 else f"class_{k}" for k, name in enumerate(plain)
    ]


def _readme(weights: Weights, check: dict[str, Any]) -> str:
    facts, (height, width) = weights.facts, weights.description.patch_size
    scale = "unknown µm/px" if facts.mpp is None else f"{facts.mpp} µm/px"
    rows = [
        f"| {k} | {name} | {long} |" for k, (name, long) in enumerate(zip(facts.classes, facts.descriptions, strict=True))
    ]
    white = "White background is no class of it: it is to be found by brightness.\n" if facts.white_background else ""
    scores = {k: round(v, 3) for k, v in weights.description.scores.items() if isinstance(v, float)}
    return "\n".join([
        f"# Tissue segmenter of {facts.name}",
        "",
        f"A segmenter of H&E images, trained by version {bundle_version()} of a MONAI bundle on image-level labels of "
        f"patches of {height} x {width} px at {scale}, recipe {weights.description.recipe}. Research use only.",
        "",
        "| channel | class | |", "|---|---|---|", *rows, "",
        f"{white}The bundle averages it over windows and flips and gates it by a classifier; this is the network alone.",
        "",
        "# Validation",
        "",
        f"Scores of the epoch that was kept, on what the training held out: {scores or 'none recorded'}. On "
        f"{check['patches']} patches this graph differs from PyTorch by at most {check['largest_difference']:.1e}.",
        "",
    ])  # fmt: skip


def _array(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
