from __future__ import annotations

import numpy as np
import pytest
from scripts.demo.tissue import draw_tissue

SIZE = (224, 256)


@pytest.fixture(scope="module", params=[0, 1, 2, 3])
def drawn(request):
    return draw_tissue(np.random.default_rng(request.param), SIZE)


def optical_density(rgb: np.ndarray) -> np.ndarray:
    return -np.log((rgb.astype(np.float64) + 1) / 256)


def test_types(drawn):
    rgb, mask = drawn
    assert rgb.shape == (*SIZE, 3)
    assert mask.shape == SIZE
    assert rgb.dtype == mask.dtype == np.uint8
    assert mask.max() <= 4


def test_white_is_bright_and_tissue_is_not(drawn):
    rgb, mask = drawn
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    white = mask == 4
    if white.any():
        assert (grey[white] > 200).mean() > 0.85  # the rest is its edge
    assert (grey[~white] > 200).mean() < 0.06  # clefts and soft edges
    for k in range(4):
        if (mask == k).sum() > 500:
            assert grey[mask == k].mean() < 190, k


def test_hues_are_those_of_h_and_e(drawn):
    rgb, mask = drawn
    density = optical_density(rgb)[mask != 4].mean(0)
    assert density.argmax() == 1  # both stains absorb green most: pink to purple
    red, green, blue = rgb[mask != 4].mean(0)
    assert red > green + 20
    assert blue > green + 10


def test_same_generator_same_image():
    first, second = (draw_tissue(np.random.default_rng(7), (96, 128)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    other = draw_tissue(np.random.default_rng(8), (96, 128))
    assert (first[0] != other[0]).mean() > 0.5


def test_lymphocytes_are_darker_and_necrosis_redder_than_stroma():
    # over several slides: haematoxylin (red absorbed) by class
    total, count = np.zeros(4), np.zeros(4)
    for seed in range(8):
        rgb, mask = draw_tissue(np.random.default_rng(seed), SIZE)
        for k in range(4):
            total[k] += optical_density(rgb)[..., 0][mask == k].sum()
            count[k] += (mask == k).sum()
    te, nec, lym, tas = total / count
    assert min(te, lym) > 1.3 * max(nec, tas)


@pytest.mark.parametrize("size", [(62, 100), (101, 100), (64,)])
def test_bad_size(size):
    with pytest.raises(ValueError, match=r"size: expected two even numbers of at least 64 px, found"):
        draw_tissue(np.random.default_rng(0), size)


@pytest.mark.parametrize("size", [(64, 64), (66, 130)])
def test_small_sizes(size):
    for seed in range(6):
        rgb, mask = draw_tissue(np.random.default_rng(seed), size)
        assert rgb.shape == (*size, 3)
        assert mask.shape == size
