from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.networks.gate import GatedSegmenter, gate


def test_gated_classes_are_zero():
    probability = torch.tensor([0.5, 0.3, 0.2]).reshape(1, 3, 1, 1)
    gated = gate(probability, torch.tensor([[0.1, 0.5, 0.11]]))
    assert gated.flatten().tolist() == pytest.approx([0.0, 0.3, 0.2])  # at most gate_threshold: gone


def test_nothing_left_leaves_everything():
    probability = torch.rand(2, 3, 4, 4)
    gated = gate(probability, torch.tensor([[0.0, 0.1, 0.05], [0.9, 0.0, 0.0]]))
    torch.testing.assert_close(gated[0], probability[0])
    assert (gated[1].argmax(0) == 0).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0, 1))
def test_every_pixel_keeps_a_class(class_probability, gate_threshold):
    c = len(class_probability)
    probability = torch.softmax(torch.randn(1, c, 3, 3), 1)
    gated = gate(probability, torch.tensor([class_probability]), gate_threshold)
    assert (gated.amax(1) > 0).all()
    allowed = [k for k, p in enumerate(torch.tensor(class_probability)) if p > gate_threshold] or list(range(c))
    assert set(gated.argmax(1).flatten().tolist()) <= set(allowed)


class _Constant(torch.nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, image):
        return self.output


def test_network_switches():
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 0] = 1.0
    segmenter, classifier = _Constant(logits), _Constant(torch.tensor([[-9.0, 9.0]]))
    image = torch.zeros(1, 3, 2, 2)
    assert (GatedSegmenter(segmenter, classifier)(image).argmax(1) == 1).all()
    assert (GatedSegmenter(segmenter, classifier, gated=False)(image).argmax(1) == 0).all()
    assert (GatedSegmenter(segmenter, gated=False)(image).argmax(1) == 0).all()
    with pytest.raises(ValueError, match="classifier"):
        GatedSegmenter(segmenter)


def test_flips_make_it_equivariant():
    torch.manual_seed(0)
    network = GatedSegmenter(torch.nn.Conv2d(3, 2, 3, padding=1), gated=False, flips=True)
    image = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(network(image.flip(2)), network(image).flip(2))
    torch.testing.assert_close(network(image.flip(3)), network(image).flip(3))


def test_published_gate_lets_a_gated_class_win_over_negative_logits():
    logits = torch.tensor([-1.0, -2.0, 3.0]).reshape(1, 3, 1, 1)
    classes = torch.tensor([[-9.0, 9.0, -9.0]])  # only the second is present
    assert GatedSegmenter(_Constant(logits), _Constant(classes))(logits).argmax(1).item() == 1
    assert GatedSegmenter(_Constant(logits), _Constant(classes), published=True)(logits).argmax(1).item() == 0


def test_a_threshold_for_each_class():
    maps, classes = torch.full((1, 3, 1, 2), 0.3), torch.tensor([[0.05, 0.05, 0.5]])
    assert gate(maps, classes, [0.1, 0.01, 0.9])[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.3, 0.0])


def test_turned_averages_over_the_image_and_its_half_turn():
    torch.manual_seed(0)
    segmenter = torch.nn.Conv2d(3, 2, 3, padding=1)
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 2))
    image = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        network = GatedSegmenter(segmenter, classifier, turned=True)
        looks = network.look(image)
        turned = torch.rot90(image, 2, (2, 3))
        expected = (segmenter(image).softmax(1) + torch.rot90(segmenter(turned).softmax(1), 2, (2, 3))) / 2
        torch.testing.assert_close(looks["maps"], expected)
        torch.testing.assert_close(looks["classes"], classifier(image).sigmoid())  # asked once
        small = network.look(image, largest=False)  # as it is, and the classifier not at all
    assert set(small) == {"maps"} and (network.passes(), network.passes(largest=False)) == (2, 1)
    torch.testing.assert_close(small["maps"], segmenter(image).softmax(1))


def test_networks_see_channels_last_however_windows_come():
    formats = []

    def network(image):
        formats.append(image.is_contiguous(memory_format=torch.channels_last))
        return image[:, :2]

    segmenter = torch.nn.Identity()
    segmenter.forward = network
    GatedSegmenter(segmenter, gated=False, turned=True)(torch.rand(2, 3, 8, 8))
    assert formats == [True, True]


def test_the_gate_of_every_pixel():
    maps = torch.tensor([0.6, 0.4]).reshape(1, 2, 1, 1).repeat(1, 1, 1, 3)
    classes = torch.tensor([[[[0.9, 0.05, 0.05]], [[0.9, 0.9, 0.05]]]])
    assert gate(maps, classes).argmax(1).flatten().tolist() == [0, 1, 0]  # where all would go, all stay
    assert gate(maps, classes, [0.01, 0.95]).argmax(1).flatten().tolist() == [0, 0, 0]
