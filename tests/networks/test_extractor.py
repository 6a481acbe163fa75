from __future__ import annotations

import pytest
import torch
from monai.networks.nets import resnet18
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.extractor import ModuleExtractor
from scripts.networks.resnet import ResNet
from scripts.networks.resnet38 import ResNet38
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


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("size", [(128, 128), (64, 192)])
def test_dilation_keeps_features(output_stride, size):
    """Smaller output strides sample the features of stride 32 densely: every second, or every fourth position has the same
    values to the border, as it sees the same pixels."""
    coarse, dense = (EfficientNetLite0(output_stride=stride).eval() for stride in (32, output_stride))
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        a, b = coarse(image), dense(image)
    for layer in a:
        step = coarse.strides[layer] // dense.strides[layer]
        # padding of even sizes puts the centre of a strided convolution on the last pixel of each step
        torch.testing.assert_close(b[layer][..., step - 1 :: step, step - 1 :: step], a[layer], rtol=1e-3, atol=1e-4)
    assert b["head"].shape[-1] == 32 // output_stride * a["head"].shape[-1] and float(a["head"].std()) > 0.01


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


def _reach(extractor, source, layer, size):
    """Which pixels of one layer's map a pixel of another's depends on, along a row, as steps from the pixel itself.

    Weights are made positive, so that nothing is cut off or cancels out."""
    with torch.no_grad():
        for parameter in extractor.parameters():
            parameter.abs_().clamp_(min=1e-3)
    extractor.double().eval()
    with extractor.gradient_from(source):
        features = extractor(torch.rand(1, 3, size, size, dtype=torch.float64))
    middle = features[layer].shape[-1] // 2
    (gradient,) = torch.autograd.grad(features[layer][0, :, middle, middle].sum(), features[source])
    seen = gradient[0].abs().sum(0)
    assert torch.equal(seen > 0, seen.T > 0)  # along a column as along a row
    step = extractor.strides[layer] // extractor.strides[source]
    return (torch.nonzero(seen.sum(0)).flatten() - step * middle).tolist()


def _sums(*kernels):
    """Steps that kernels of three pixels reach one after the other, each with its dilation."""
    reached = {0}
    for dilation in kernels:
        reached = {r + k * dilation for r in reached for k in (-1, 0, 1)}
    return sorted(reached)


@pytest.mark.parametrize(
    ("settings", "layer3", "layer4"),
    [
        # at stride 32, the first of three convolutions sees neighbours, the others every second pixel of the layer before
        ({"output_stride": 32}, _sums(1, 2, 2), _sums(1, 2, 2)),
        ({"output_stride": 16}, _sums(1, 2, 2), _sums(2, 2, 2)),
        ({"output_stride": 16, "multi_grid": [1, 2, 4]}, _sums(1, 2, 2), _sums(2, 4, 8)),
        ({"output_stride": 8}, _sums(2, 2, 2), _sums(4, 4, 4)),
        ({"output_stride": 8, "multi_grid": [1, 2, 4]}, _sums(2, 2, 2), _sums(4, 8, 16)),
    ],
)
def test_strides_of_a_resnet_become_dilations(settings, layer3, layer4):
    """Each of the three blocks of a stage has one convolution of three pixels."""
    extractor = ResNet(blocks=[1, 1, 3, 3], width=1 / 16, **settings)
    assert _reach(extractor, "layer2", "layer3", 512) == layer3
    assert _reach(extractor, "layer3", "layer4", 512) == layer4


@pytest.mark.parametrize(
    ("source", "layer", "dilations"),
    [
        ("b3_2", "b4", (1, 2)),  # strided: the second convolution takes every second pixel
        ("b4", "b4_1", (1, 1)),
        ("b4_5", "b5", (1, 2)),
        ("b5", "b5_1", (2, 2)),
        ("b5_1", "b5_2", (2, 2)),
        ("b5_2", "b6", (4,)),
        ("b6", "b7", (4,)),
    ],
)
def test_the_last_blocks_of_a_resnet38_are_dilated(source, layer, dilations):
    assert _reach(ResNet38(1 / 16), source, layer, 128) == _sums(*dilations)


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
