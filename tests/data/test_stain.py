from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.data.stain import Stain, beer_lambert, draw_stain, photograph

VECTORS = np.array([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]])


def test_intensity_by_hand():
    # densities: ln 2 * (0.6, 0.8 + 0.6, 0.8) = ln 2 * (0.6, 1.4, 0.8)
    concentration = np.full((2, 1, 1), np.log(2.0))
    light = beer_lambert(concentration, VECTORS, 200.0)
    assert light.shape == (1, 1, 3)
    np.testing.assert_allclose(light[0, 0], [200 * 2**-0.6, 200 * 2**-1.4, 200 * 2**-0.8], rtol=1e-5)


def test_no_stain_is_white():
    white = np.array([241.0, 240.0, 244.0])
    np.testing.assert_allclose(beer_lambert(np.zeros((2, 3, 4)), VECTORS, white), np.broadcast_to(white, (3, 4, 3)))


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.1, 3))
def test_optical_density_is_linear_in_concentration(first, second, factor):
    concentration = np.array([first, second]).reshape(2, 1, 1)

    def density(c):
        return -np.log(beer_lambert(c, VECTORS, 255.0).astype(np.float64) / 255)

    expected = first * VECTORS[0] + second * VECTORS[1]
    np.testing.assert_allclose(density(concentration)[0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(density(factor * concentration), factor * density(concentration), atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_drawn_stains_are_haematoxylin_and_eosin(seed):
    stain = draw_stain(np.random.default_rng(seed))
    np.testing.assert_allclose(np.linalg.norm(stain.vectors, axis=1), 1.0)
    haematoxylin, eosin, _ = stain.vectors
    assert haematoxylin[0] > haematoxylin[2]  # blue: absorbs red more than blue
    assert eosin[2] > eosin[0]  # pink: absorbs blue more than red, and green most
    assert eosin.argmax() == 1
    assert stain.white.min() > 225


def test_variation():
    same = [draw_stain(np.random.default_rng(seed), variation=0.0) for seed in (0, 1)]
    np.testing.assert_array_equal(same[0].vectors, same[1].vectors)
    np.testing.assert_array_equal(same[0].white, same[1].white)
    other = [draw_stain(np.random.default_rng(seed)) for seed in (0, 1)]
    assert np.abs(other[0].vectors - other[1].vectors).max() > 0.01


def test_photograph_keeps_a_flat_field():
    stain = Stain(VECTORS, np.full(3, 240.0), blur=0.6, noise=0.0)
    flat = np.broadcast_to(np.float32([200, 150, 180]), (8, 9, 3))
    image = photograph(flat, stain, np.random.default_rng(0))
    assert image.shape == (8, 9, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.broadcast_to(np.uint8([200, 150, 180]), (8, 9, 3)))


def test_photograph_clips():
    stain = Stain(VECTORS, np.full(3, 255.0), noise=20.0)
    image = photograph(np.full((32, 32, 3), 254, np.float32), stain, np.random.default_rng(0))
    assert image.max() == 255
    assert image.min() > 100
