"""Networks as ONNX in whole numbers of 8 bits, whose ranges are measured on training patches."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.extras import extra
from .bias_correction import correct_biases
from .onnx_files import write_onnx

__all__ = ["write_int8"]

# operators that are quantised; softmax and sigmoid are left, so that probabilities have more than 256 values
_OPERATORS = ["Conv", "Gemm", "Add", "Mul", "Clip", "Relu", "Concat", "Pad", "Resize", "ReduceMean", "GlobalAveragePool"]


def write_int8(
    network: nn.Module, path: Path, example: torch.Tensor, output: str, calibration: torch.Tensor
) -> dict[str, Any]:
    """Write a network, quantised statically: weights per channel, activations by the largest and smallest value seen, biases
    corrected for what rounding does to the weights (:func:`~.bias_correction.correct_biases`).

    Args:
        network: in evaluation mode, on the CPU.
        path: the file.
        example: see :func:`~.onnx_files.write_onnx`.
        output: name of what it gives.
        calibration: patches of training ``(N, 3, H, W)`` in [0, 1].

    Returns:
        ``opset``, and ``quantisation`` in words with the number of patches.

    Raises:
        ValueError: a package is missing, or the network cannot be exported.
    """
    quantization = extra("onnxruntime.quantization", "export")
    before = extra("onnxruntime.quantization.shape_inference", "export")
    kinds = quantization.QuantType
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared = Path(folder) / "plain.onnx", Path(folder) / "prepared.onnx"
        how = write_onnx(network, plain, example, output)
        root = logging.getLogger()
        level = root.level
        try:
            root.setLevel(logging.ERROR)  # it advises on what is done here
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
                quantization.quantize_static(
                    str(prepared), str(path), _Patches(calibration), quant_format=quantization.QuantFormat.QDQ,
                    op_types_to_quantize=_OPERATORS, per_channel=True, activation_type=kinds.QUInt8, weight_type=kinds.QInt8,
                )  # fmt: skip
            correct_biases(prepared, path, calibration)
        finally:
            root.setLevel(level)
    scheme = "static, QDQ, activations uint8 by their extremes, weights int8 per channel, biases corrected"
    return {**how, "quantisation": {"scheme": scheme, "patches": len(calibration)}}


class _Patches:
    """Patches one by one, as the calibration of ONNX Runtime asks for them.

    Args:
        patches: ``(N, 3, H, W)``.
    """

    def __init__(self, patches: torch.Tensor) -> None:
        self._left: Iterator[torch.Tensor] = iter(patches.split(1))

    def get_next(self) -> dict[str, Any] | None:
        """Inputs of the graph by their names; ``None`` after the last."""
        patch = next(self._left, None)
        return None if patch is None else {"image": patch.numpy()}
