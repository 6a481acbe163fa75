"""Networks in the form that a run asks for: PyTorch's own, or as they were exported, checked to be of the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..networks.folding import folded
from ..weights.files import Weights
from .export_description import read_export
from .onnx_files import OnnxNetwork
from .torchscript import read_torchscript

__all__ = ["ExportedNetwork", "in_form", "load_export"]


class ExportedNetwork(nn.Module):
    """An exported graph where a network is expected: in float32, whatever runs around it.

    Args:
        graph: maps images ``(N, 3, H, W)`` in [0, 1] to what the graph gives.
    """

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    @torch.compiler.disable  # it is compiled already
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """What the graph gives, float32."""
        with torch.autocast(image.device.type, enabled=False):
            return self.graph(image.float())


def in_form(
    weights: Weights,
    form: str = "pytorch",
    folder: str | Path = "",
    device: torch.device | str = "cpu",
    providers: Sequence[str] | None = None,
) -> nn.Module:
    """A network for inference, of trained weights, in the form that is asked for.

    Args:
        weights: the weights.
        form: ``"pytorch"``; or ``"torchscript"``, ``"onnx"``, ``"onnx_int8"``: as ``export.yaml`` has written them.
        folder: where it has written them.
        device: where the network runs.
        providers: of ONNX Runtime, see :func:`~.onnx_files.chosen_providers`.

    Raises:
        FileNotFoundError: no export.
        ValueError: see :func:`~.export_description.read_export` and :class:`~.onnx_files.OnnxNetwork`.
    """
    if form == "pytorch":
        return folded(weights.network).to(device)
    kind = weights.description.kind
    path = read_export(folder, kind, form, {kind: weights})
    return ExportedNetwork(load_export(path, form, device, providers))


def load_export(
    path: Path, form: str, device: torch.device | str = "cpu", providers: Sequence[str] | None = None
) -> nn.Module:
    """The graph of a file, as inference and the check of an export run it."""
    if form == "torchscript":
        return read_torchscript(path, device)
    return OnnxNetwork(path, providers, device)
