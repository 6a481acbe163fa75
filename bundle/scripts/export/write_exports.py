"""Exports all graphs in all forms that are asked for, each checked before it has its name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.atomic import atomic_path, write_json
from ..core.digest import file_sha256
from ..core.progress import track
from ..weights.files import Weights
from .agreement import agreement, check_agreement
from .bioimageio_model import write_bioimageio
from .export_description import describe_export
from .exported_network import load_export
from .forms import GRAPHS, HAND_OVER, description_of, export_path, kinds_of
from .gated_graph import GatedGraph
from .int8 import write_int8
from .monai_deploy import MODEL, write_monai_deploy
from .onnx_files import write_onnx
from .torchscript import write_torchscript
from .wsinfer_model import write_wsinfer

__all__ = ["write_exports"]

logger = logging.getLogger(__name__)

# side in px of the images that graphs are made with: at a stride of 32 they have more than one pixel, so that none is taken
# for a constant
_EXAMPLE = 128

_PROBABILITIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "segmenter": partial(torch.softmax, dim=1),
    "classifier": torch.sigmoid,
    "gated": nn.Identity(),
}


def write_exports(
    folder: str | Path,
    weights: Mapping[str, Weights],
    patches: torch.Tensor,
    gate_threshold: float | Sequence[float] | None,
    graphs: Sequence[str] = tuple(GRAPHS),
    forms: Sequence[str] = ("torchscript", "onnx"),
    calibration: torch.Tensor | None = None,
    progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Write each graph in each form, with its description beside it.

    Args:
        folder: where they go.
        weights: trained networks by their kinds, ``"segmenter"`` and ``"classifier"``.
        patches: ``(N, 3, H, W)`` in [0, 1] on which each is compared with PyTorch.
        gate_threshold: probability up to which classes are gated, of all or of each; ``None`` without a classifier.
        graphs: keys of :data:`~.forms.GRAPHS`.
        forms: keys of :data:`~.forms.FORMS`; or of :data:`~.forms.HAND_OVER`, which take one graph each.
        calibration: training patches like ``patches``, for ``"onnx_int8"``.
        progress: whether to show a progress bar.

    Returns:
        ``{file: figures of its check}``.

    Raises:
        ValueError: a form whose graph is not asked for, a network that cannot be exported, or an export that gives something
            else; the message names the file.
        OSError: the folder cannot be written.
    """
    thresholds = None
    if gate_threshold is not None:
        classes = weights["segmenter" if "segmenter" in weights else "classifier"].facts.num_classes
        listed = gate_threshold if isinstance(gate_threshold, Sequence) else [gate_threshold] * classes
        thresholds = [float(t) for t in listed]
    folder, figures = Path(folder), {}
    example = torch.rand(2, 3, _EXAMPLE, _EXAMPLE, generator=torch.Generator().manual_seed(0))
    if alone := [form for form in forms if HAND_OVER.get(form, graphs[0]) not in graphs]:
        raise ValueError(
            f"forms: {alone[0]} is of the {HAND_OVER[alone[0]]} alone, found graphs {list(graphs)}; add it to these"
        )
    pairs = [(graph, form) for graph in graphs for form in forms if HAND_OVER.get(form, graph) == graph]
    for graph, form in track(pairs, "export", len(pairs), progress):
        if form == "bioimageio":
            path = folder / f"{graph}.bioimageio.zip"
            check = write_bioimageio(path, weights[graph], patches, example)
        elif form == "wsinfer":
            path = folder / f"{graph}.wsinfer"
            check = write_wsinfer(path, weights[graph], patches, example)
        elif form == "monai_deploy":
            path = folder / MODEL
            network = _network(graph, weights, thresholds)
            check = write_monai_deploy(path, network, weights, thresholds or [], patches, example)
        else:
            path = export_path(folder, graph, form)
            network = _network(graph, weights, thresholds)
            with atomic_path(path) as temporary:
                how = _write(network, form, temporary, example, GRAPHS[graph], calibration)
                check = agreement(load_export(temporary, form), network, patches, _PROBABILITIES[graph])
                check_agreement(check, path.name, form, graph != "classifier")
            content = describe_export(graph, form, weights, thresholds, how, check)
            write_json(description_of(path), {**content, "sha256": file_sha256(path)})
        logger.info(
            "%s: on %d patches probabilities differ from PyTorch's by at most %.1e, %.4f %% of the likeliest classes are "
            "the same", path.name, check["patches"], check["largest_difference"], 100 * check["equal_argmax"],
        )  # fmt: skip
        figures[path.name] = check
    return figures


def _network(graph: str, weights: Mapping[str, Weights], thresholds: Sequence[float] | None) -> nn.Module:
    networks = [weights[kind].network for kind in kinds_of(graph)]
    return (GatedGraph(*networks, thresholds or []) if graph == "gated" else networks[0]).eval()


def _write(
    network: nn.Module, form: str, path: Path, example: torch.Tensor, output: str, calibration: torch.Tensor | None
) -> dict[str, Any]:
    if form == "torchscript":
        return write_torchscript(network, path, example)
    if form == "onnx_int8":
        return write_int8(network, path, example, output, calibration)
    return write_onnx(network, path, example, output)
