from __future__ import annotations

import math

import pytest
import torch
from scripts.pseudo_masks.crf import WindowedCRF


def test_one_update_by_hand():
    """Three pixels in a row, the first two of one colour: what the middle one hears from its two neighbours."""
    image = torch.zeros(1, 3, 1, 3)
    image[..., 2] = 0.1
    probability = torch.tensor([[0.9, 0.6, 0.2], [0.1, 0.4, 0.8]]).reshape(1, 2, 1, 3)
    crf = WindowedCRF(
        radius=1, dilation=1, iterations=1, appearance=2.0, smoothness=0.5, position_sigma=1.0, colour_sigma=0.1
    )
    near, far = math.exp(-0.5), math.exp(-0.5 - 3 * 0.5)
    first, second = near / (near + far), far / (near + far)
    message = [2.0 * (first * a + second * b) + 0.5 * (a + b) / 2 for a, b in ((0.9, 0.2), (0.1, 0.8))]
    scores = [0.6 * math.exp(message[0]), 0.4 * math.exp(message[1])]
    found = crf(image, probability)
    assert float(found[0, 0, 0, 1]) == pytest.approx(scores[0] / sum(scores), abs=1e-5)


def test_noise_goes_and_the_edge_of_the_image_stays():
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 24, 24)
    image[..., 11:] = 0.8
    truth = (image[0, 0] > 0).long()
    noisy = torch.where(torch.rand(24, 24) < 0.2, 1 - truth, truth)
    probability = 0.2 + 0.6 * torch.nn.functional.one_hot(noisy, 2).permute(2, 0, 1)[None].float()
    found = WindowedCRF()(image, probability)
    assert float((noisy == truth).float().mean()) < 0.85
    assert torch.equal(found.argmax(dim=1)[0], truth)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(1, 24, 24))


def test_absent_classes_stay_absent_and_patches_are_independent():
    torch.manual_seed(0)
    image, probability = torch.rand(2, 3, 12, 9), torch.rand(2, 3, 12, 9)
    probability[:, 1] = 0
    crf = WindowedCRF(iterations=3)
    both = crf(image, probability)
    assert float(both[:, 1].max()) < 1e-6
    torch.testing.assert_close(both[:, ::2], crf(image, probability[:, ::2]))
    torch.testing.assert_close(both[1:], crf(image[1:], probability[1:]))
    torch.testing.assert_close(WindowedCRF(iterations=0)(image, probability), probability / probability.sum(1, keepdim=True))


@pytest.mark.parametrize("arguments", [{"radius": 0}, {"colour_sigma": 0.0}, {"iterations": -1}])
def test_values_out_of_range(arguments):
    with pytest.raises(ValueError, match="expected positive"):
        WindowedCRF(**arguments)
