"""Sums of products of 8 bits, as ONNX Runtime forms them for the bundle: whole on any processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_exports import NEEDS_ONNX
from scripts.export.onnx_files import OnnxNetwork


@NEEDS_ONNX
@pytest.mark.parametrize("channels", [2, 16, 64])
def test_no_sum_of_8_bits_is_cut_off(tmp_path, channels):
    """255 x 127, twice, is more than 16 bits hold: processors without VNNI would give 32,767 for each pair."""
    from onnx import TensorProto, helper, numpy_helper, save

    def constant(name, value, kind):
        return numpy_helper.from_array(np.asarray(value, dtype=kind), name)

    weights = constant("w", np.full((8, channels, 1, 1), 127), np.int8)
    scales = [constant("one", 1.0, np.float32), constant("wide", float(channels * 127), np.float32)]
    zeros = [constant("u0", 0, np.uint8), constant("s0", 0, np.int8)]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "one", "u0"], ["q"]),
        helper.make_node("QLinearConv", ["q", "one", "u0", "w", "one", "s0", "wide", "u0"], ["sum"]),
        helper.make_node("DequantizeLinear", ["sum", "one", "u0"], ["out"]),
    ]
    sides = [1, channels, 4, 4]
    graph = helper.make_graph(
        nodes, "sums", [helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 8, 4, 4])], [weights, *scales, *zeros],
    )  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "sums.onnx")
    found = OnnxNetwork(tmp_path / "sums.onnx")(torch.full(sides, 255.0))
    assert torch.equal(found, torch.full((1, 8, 4, 4), 255.0))
