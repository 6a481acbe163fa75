from __future__ import annotations

import pytest
import torch
from monai.networks.nets import resnet18
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.extractor import ModuleExtractor
from tiny import TinyExtractor


@pytest.mark.parametrize(
    ("output_stride", "strides"),
    [(32, [2, 2, 4, 8, 16, 16, 32, 32, 32]), (16, [2, 2, 4, 8, 16, 16, 16, 16, 16]), (8, [2, 2, 4, 8, 8, 8, 8, 8, 8])],
)
@pytest.mark.parametrize("size", [(64, 64), (50, 75)])
def test_efficientnet_shapes(output_stride, strides, size):
    extractor = EfficientNetLite0(pretrained=False, output_stride=output_stride).eval()
    assert list(extractor.strides.values()) == strides
    with torch.no_grad():
        features = extractor(torch.rand(1, 3, *size))
    for name, feature in features.items():
        stride = extractor.strides[name]
        assert feature.shape == (1, extractor.channels[name], -(-size[0] // stride), -(-size[1] // stride)), name


def test_efficientnet_imagenet_weights():
    """The published weights, with their classifier, recognise what ImageNet is about: features are not noise."""
    extractor = EfficientNetLite0(output_stride=32).eval()
    assert float(extractor.conv_stem.weight.detach().std()) > 0.1
    with torch.no_grad():
        flat = extractor(torch.full((1, 3, 64, 64), 0.5))["head"]
        noise = extractor(torch.rand(1, 3, 64, 64))["head"]
    assert float(flat.min()) >= 0 and float(noise.max()) <= 6
    assert float((flat.mean((2, 3)) - noise.mean((2, 3))).abs().max()) > 0.1


def test_dilation_keeps_features():
    """Output stride 16 samples the stride-32 features densely: every second position sees the same pixels."""
    torch.manual_seed(0)
    coarse = EfficientNetLite0(output_stride=32).eval()
    dense = EfficientNetLite0(output_stride=16).eval()
    image = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        a, b = coarse(image), dense(image)
    torch.testing.assert_close(a["stage5"], b["stage5"])
    assert b["stage7"].shape[-1] == 2 * a["stage7"].shape[-1]


def test_last_stage_is_a_prefix():
    whole = EfficientNetLite0(output_stride=16).eval()
    part = EfficientNetLite0(output_stride=16, last_stage="stage5").eval()
    image = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(part(image)["stage5"], whole(image)["stage5"])
    assert part.layers[-1] == "stage5"


@pytest.mark.parametrize("arguments", [{"output_stride": 4}, {"last_stage": "stage9"}])
def test_efficientnet_refuses(arguments):
    with pytest.raises(ValueError, match="expected"):
        EfficientNetLite0(pretrained=False, **arguments)


def test_module_extractor_wraps_a_monai_network():
    network = resnet18(spatial_dims=2, n_input_channels=3, num_classes=2, conv1_t_stride=2)
    extractor = ModuleExtractor(network, ["layer1", "layer3"], mean=[0.5, 0.5, 0.5], std=0.25)
    assert extractor.channels == {"layer1": 64, "layer3": 256}
    assert extractor.strides == {"layer1": 4, "layer3": 16}
    network.eval()
    image = torch.rand(2, 3, 64, 64)
    features = extractor(image)
    x = network.maxpool(network.act(network.bn1(network.conv1((image - 0.5) / 0.25))))
    torch.testing.assert_close(features["layer1"], network.layer1(x))


def test_module_extractor_refuses_unknown_layers():
    with pytest.raises(ValueError, match="no submodule"):
        ModuleExtractor(torch.nn.Conv2d(3, 4, 1), ["layer1"])


def test_unknown_layer_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"\['a', 'b', 'c'\]"):
        TinyExtractor().check_layers(["d"])
