from __future__ import annotations

import torch
from scripts.core.precision import MixedPrecisionInferer, mixed_precision, prefers_bfloat16
from scripts.networks.classifier import TissueClassifier
from scripts.networks.gate import GatedSegmenter
from scripts.networks.segmenter import DeepLabV3Plus
from tiny import TinyExtractor


def test_autocasts_where_enabled():
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    for enabled, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        with mixed_precision("cpu", enabled):
            assert layer(x).dtype == dtype
    assert isinstance(prefers_bfloat16("cpu"), bool) and prefers_bfloat16("meta") is False


def test_emulated_bfloat16_is_not_preferred(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert prefers_bfloat16("cpu") is False


def test_mixed_precision_of_the_gated_segmenter_is_close():
    segmenter = DeepLabV3Plus(TinyExtractor(), 3, channels=16, rates=(1, 2)).eval()
    classifier = TissueClassifier(TinyExtractor(), 3).eval()
    image = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        exact, mixed = (GatedSegmenter(segmenter, classifier, amp=amp)(image) for amp in (False, True))
    assert mixed.dtype == torch.float32 and not torch.equal(exact, mixed)
    torch.testing.assert_close(mixed, exact, rtol=0, atol=0.02)


def test_the_inferer_runs_mixed_and_gives_floats():
    layer, x = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    exact = layer(x)
    assert torch.equal(MixedPrecisionInferer(False)(x, layer), exact)
    mixed = MixedPrecisionInferer()(x, layer)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, mixed.bfloat16().float()) and not torch.equal(mixed, exact)
    parts = MixedPrecisionInferer()(x, lambda image, key: {key: layer(image)}, "logits")
    assert torch.equal(parts["logits"], mixed)
    mixed.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
