from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_exports import NEEDS_ONNX
from scripts.export.onnx_files import OnnxNetwork, chosen_providers, write_onnx
from scripts.networks import DeepLabV3Plus, EfficientNetLite0
from torch import nn

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


@pytest.fixture
def runtime(monkeypatch):
    """ONNX Runtime as it is on a machine with a GPU."""
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(get_available_providers=lambda: [TENSORRT, CUDA, CPU]))


@pytest.mark.parametrize(
    ("providers", "device", "expected"),
    [
        (None, "cpu", [CPU]),
        (None, "cuda:1", [(CUDA, {"device_id": 1}), CPU]),
        ([CPU], "cuda", [CPU]),
        ([TENSORRT, CUDA, CPU], "cuda", [(TENSORRT, {"device_id": 0}), (CUDA, {"device_id": 0}), CPU]),
    ],
)
def test_providers_are_those_of_the_device_or_those_named(runtime, providers, device, expected):
    assert chosen_providers(providers, device) == expected


def test_a_provider_that_is_not_there_is_refused(runtime):
    with pytest.raises(ValueError, match=r"no QNNExecutionProvider here, expected some of TensorrtExecutionProvider, CUDA"):
        chosen_providers(["QNNExecutionProvider", CPU], "cpu")


def test_onnx_runtime_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"the package onnxruntime is needed here .*pip install '\.\[export\]'"):
        chosen_providers(None, "cpu")


@NEEDS_ONNX
def test_a_backbone_whose_padding_depends_on_the_size_takes_any_size(tmp_path):
    """Of strides 2, where even and odd sides are padded otherwise."""
    extractor = EfficientNetLite0(pretrained=False, last_stage="stage3")
    network = DeepLabV3Plus(extractor, 3, "stage3", "stage2", channels=8, rates=(1, 2)).eval()
    assert write_onnx(network, tmp_path / "a.onnx", torch.rand(2, 3, 64, 64), "logits") == {"opset": 18}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        loaded = OnnxNetwork(tmp_path / "a.onnx")
    finally:
        torch.set_num_threads(threads)
    assert loaded.session.get_session_options().intra_op_num_threads == 2
    for shape in ((1, 3, 64, 64), (2, 3, 33, 47), (3, 3, 50, 34), (1, 3, 9, 130)):
        image = torch.rand(*shape)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(image), network(image), rtol=0, atol=1e-5)


class _Unknown(nn.Module):
    def forward(self, image):
        return image if float(image.sum()) > 0 else -image


@NEEDS_ONNX
def test_a_network_that_cannot_be_exported_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="_Unknown cannot be exported as ONNX: ") as caught:
        write_onnx(_Unknown(), tmp_path / "a.onnx", torch.rand(2, 3, 32, 32), "logits")
    assert "\n" not in str(caught.value)


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
