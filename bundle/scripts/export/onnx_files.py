"""Networks as ONNX, and how ONNX Runtime runs them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.extras import extra

__all__ = ["OPSET", "OnnxNetwork", "chosen_providers", "write_onnx"]

#: Version of the operators: that of PyTorch's exporter, so that nothing is converted.
OPSET = 18
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def write_onnx(network: nn.Module, path: Path, example: torch.Tensor, output: str) -> dict[str, Any]:
    """Write a network for images of any number and size.

    Args:
        network: in evaluation mode, on the CPU.
        path: the file.
        example: images ``(N, 3, H, W)``, sides a multiple of every stride of the network and not one pixel at any of them.
        output: name of what it gives.

    Returns:
        ``{"opset": version}``.

    Raises:
        ValueError: a package is missing, or the network cannot be exported.
    """
    extra("onnx", "export")
    extra("onnxscript", "export")
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with _quiet(), torch.no_grad():
        try:
            torch.onnx.export(
                network, (example,), str(path), dynamo=True, opset_version=OPSET, external_data=False, verbose=False,
                input_names=["image"], output_names=[output], dynamic_shapes=(free,),
            )  # fmt: skip
        except Exception as error:  # whatever the exporter makes of a network of one's own
            cause = error.__cause__ or error
            reason = (str(cause).strip().partition("\n")[0] or type(cause).__name__)[:200]
            raise ValueError(f"{type(network).__name__} cannot be exported as ONNX: {reason}") from error
    return {"opset": OPSET}


def chosen_providers(providers: Sequence[str] | None, device: torch.device | str) -> list[Any]:
    """Execution providers of ONNX Runtime, in order.

    Args:
        providers: their names, such as ``"TensorrtExecutionProvider"``; ``None``: CUDA where ``device`` is one and ONNX
            Runtime has it, then the CPU.
        device: of the run; its number is that of the GPU.

    Raises:
        ValueError: ONNX Runtime is missing, or has no such provider.
    """
    available, device = extra("onnxruntime", "export").get_available_providers(), torch.device(device)
    if providers is None:
        providers = [_CUDA, _CPU] if device.type == "cuda" and _CUDA in available else [_CPU]
    if missing := [name for name in providers if name not in available]:
        raise ValueError(
            f"providers: ONNX Runtime has no {', '.join(missing)} here, expected some of {', '.join(available)}; those of "
            "GPUs come with pip install onnxruntime-gpu, in the place of onnxruntime"
        )
    own = {"device_id": device.index or 0}
    return [(name, own) if device.type == "cuda" and name != _CPU else name for name in providers]


class OnnxNetwork(nn.Module):
    """A graph of ONNX as a network: on as many threads as PyTorch has when it is loaded.

    Args:
        path: the file.
        providers: see :func:`chosen_providers`.
        device: see there.

    Raises:
        ValueError: not readable as ONNX, a provider that is not there, or one that does not load.
    """

    def __init__(self, path: str | Path, providers: Sequence[str] | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__()
        runtime, chosen = extra("onnxruntime", "export"), chosen_providers(providers, device)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # x86 processors without VNNI cut sums of two products of 8 bits off at 16; where there is VNNI this changes nothing
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=chosen)
        except Exception as error:  # classes of its own, without a base
            raise ValueError(f"{path}: ONNX Runtime cannot load it: {str(error).strip().partition(chr(10))[0]}") from error
        running = self.session.get_providers()
        if absent := [name for name in providers or () if name not in running]:
            raise ValueError(
                f"providers: {', '.join(absent)} does not load, ONNX Runtime would run on {', '.join(running)}; install the "
                "libraries that it needs, or name another"
            )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """What the graph gives for images ``(N, 3, H, W)``, on their device, float32."""
        found = self.session.run(None, {"image": image.detach().float().contiguous().cpu().numpy()})[0]
        return torch.from_numpy(found).to(image.device)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter's packages tell of each step, of packages that they would also know, and of their future."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
