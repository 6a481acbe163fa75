from __future__ import annotations

import pytest
import torch
from scripts.export.agreement import agreement, check_agreement


def _network(image):
    """Logits of two classes by the first channel."""
    return torch.stack([image[:, 0], 1 - image[:, 0]], dim=1)


def _figures(exported):
    patches = torch.rand(10, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    return agreement(exported, _network, patches, lambda logits: logits)


def test_figures_count_every_pixel_of_every_size():
    figures = _figures(_network)
    assert figures["sizes"] == [[20, 30], [15, 19], [40, 60]] and figures["patches"] == 10
    assert figures["pixels"] == 11 * 20 * 30 + 15 * 19 + 40 * 60
    assert figures["largest_difference"] == 0 and figures["equal_argmax"] == 1
    check_agreement(figures, "a.onnx", "onnx")


def test_a_graph_that_is_wrong_at_one_size_alone_is_refused():
    figures = _figures(lambda image: _network(image) + 0.01 * (image.shape[2] % 2))
    assert figures["largest_difference"] == pytest.approx(0.01, rel=1e-4) and figures["equal_argmax"] == 1
    with pytest.raises(ValueError, match=r"a.onnx: not what PyTorch gives on 10 patches: .*up to 0.01, .*at most 0.0001"):
        check_agreement(figures, "a.onnx", "onnx")
    check_agreement(figures, "a.int8.onnx", "onnx_int8")


def test_whole_numbers_may_change_few_pixels_wholly_and_a_classifier_little():
    def exported(image):
        logits = _network(image).clone()
        logits[:, :, :1, :1] = 1 - logits[:, :, :1, :1]
        return logits

    figures = _figures(exported)
    assert figures["largest_difference"] > 0.5 and 0.99 < figures["equal_argmax"] < 1
    check_agreement(figures, "gated.int8.onnx", "onnx_int8")
    with pytest.raises(ValueError, match=r"expected at most 0\.5"):
        check_agreement(figures, "classifier.int8.onnx", "onnx_int8", by_pixel=False)
    with pytest.raises(ValueError, match="expected at most 1 and at least 97 %; the file was not written"):
        check_agreement(_figures(lambda image: _network(image).flip(1)), "gated.int8.onnx", "onnx_int8")


def test_other_classes_are_refused_but_of_a_classifier():
    def exported(image):
        """So near a half that the likeliest class is another one in a few pixels."""
        logits = _network(image) * 1e-5
        return logits.flip(1)

    patches = torch.rand(2, 3, 20, 20)
    figures = agreement(exported, lambda image: _network(image) * 1e-5, patches, lambda logits: logits)
    assert figures["largest_difference"] < 1e-4 and figures["equal_argmax"] < 0.01
    with pytest.raises(ValueError, match="likeliest classes the same; expected"):
        check_agreement(figures, "a.ts", "torchscript")
    check_agreement(figures, "a.ts", "torchscript", by_pixel=False)


def test_what_is_no_number_is_a_difference():
    figures = _figures(lambda image: _network(image) * float("nan"))
    assert figures["largest_difference"] == 1
