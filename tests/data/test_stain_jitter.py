from __future__ import annotations

import torch
from scripts.data.stain_jitter import RandStainJitterd, stain_jitter

ONE, ZERO = torch.ones(3), torch.zeros(3)


def test_identity():
    image = torch.rand(3, 8, 8).clamp(min=0.01)
    torch.testing.assert_close(stain_jitter(image, ONE, ZERO, 1.0), image, atol=1e-5, rtol=1e-5)


def test_doubling_all_stains_squares_the_transmittance():
    image = torch.rand(3, 8, 8).clamp(min=0.1)
    torch.testing.assert_close(stain_jitter(image, 2 * ONE, ZERO, 1.0), image**2, atol=1e-4, rtol=1e-4)


def test_glass_stays_white():
    white = torch.ones(3, 4, 4)
    torch.testing.assert_close(stain_jitter(white, 1.3 * ONE, torch.full((3,), 0.05), 1.0), white, atol=1e-4, rtol=0)


def test_random_transform_is_seeded_and_stays_in_range():
    image = torch.rand(3, 8, 8)
    transform = RandStainJitterd("image", prob=1.0)
    first = transform.set_random_state(3)({"image": image})["image"]
    second = transform.set_random_state(3)({"image": image})["image"]
    other = transform({"image": image})["image"]
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert first.min() >= 0 and first.max() <= 1
