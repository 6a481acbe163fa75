"""Biases of a quantised graph that make up for what rounding does to its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.extras import extra

__all__ = ["correct_biases"]


def correct_biases(plain: Path, quantised: Path, patches: torch.Tensor) -> None:
    """Give each convolution the mean output that it had before its weights were rounded.

    A rounded weight is off by as much in every pixel, so that behind rectifiers, where inputs have a mean, the errors of one
    output add up to a constant; depthwise convolutions have few weights among which they would cancel. The constant goes
    into the bias (Nagel et al., arXiv 1906.04721, section 4.2): the mean over ``patches`` of the same convolution by what
    the weights have lost. A convolution without a bias stays as it is.

    Args:
        plain: the graph in float32, whose nodes have the names that ``quantised`` has.
        quantised: the graph that ONNX Runtime made of it, written anew.
        patches: ``(N, 3, H, W)`` in [0, 1].
    """
    onnx = extra("onnx", "export")
    array, tensor = onnx.numpy_helper.to_array, onnx.numpy_helper.from_array
    before, after = onnx.load(plain), onnx.load(quantised)
    weights, held = ({i.name: i for i in model.graph.initializer} for model in (before, after))
    source = {name: node for node in after.graph.node for name in node.output}
    nodes = {node.name: node for node in after.graph.node if node.op_type == "Conv"}
    lost, biases = [], []
    for node in before.graph.node:
        if node.name not in nodes or len(node.input) < 3 or node.input[1] not in weights:
            continue
        weight, bias = (source.get(name) for name in nodes[node.name].input[1:])
        if weight is None or bias is None:  # left in float32
            continue
        rounded, step = (array(held[name]) for name in weight.input[:2])
        lost.append((node, array(weights[node.input[1]]) - rounded * step.reshape(-1, 1, 1, 1)))
        biases.append(bias)
    for bias, mean in zip(biases, _mean_outputs(before, lost, patches), strict=True):
        steps, step = (array(held[name]) for name in bias.input[:2])
        held[bias.input[0]].CopyFrom(tensor(steps + np.rint(mean / step).astype(steps.dtype), bias.input[0]))
    onnx.save(after, quantised)


def _mean_outputs(model: Any, convolutions: list[tuple[Any, np.ndarray]], patches: torch.Tensor) -> list[np.ndarray]:
    """Mean ``(C,)`` over patches and pixels of what convolutions of a graph would give by other weights, without biases."""
    onnx, runtime = extra("onnx", "export"), extra("onnxruntime", "export")
    names = [f"lost.{number}" for number in range(len(convolutions))]
    for name, (node, weight) in zip(names, convolutions, strict=True):
        other = onnx.helper.make_node("Conv", [node.input[0], f"{name}.weight"], [name])
        other.attribute.extend(node.attribute)
        model.graph.node.append(other)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight.astype(np.float32), f"{name}.weight"))
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    sums = [np.zeros(len(weight)) for _, weight in convolutions]
    for patch in patches.split(1) if names else ():
        for total, found in zip(sums, session.run(names, {"image": patch.numpy()}), strict=True):
            total += found.mean((0, 2, 3), dtype=np.float64)
    return [total / len(patches) for total in sums]
