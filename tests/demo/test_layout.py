from __future__ import annotations

import numpy as np
import pytest
from scripts.demo.layout import TAS, TE, WHITE, draw_layout, open_spaces, ramp, resize, smooth_noise
from skimage.measure import label


@pytest.mark.parametrize("scale", [1.0, 5, 20])
def test_noise_is_standard_and_smooth(scale):
    fields = np.stack([smooth_noise(np.random.default_rng(k), (150, 170), scale) for k in range(8)])
    assert fields.shape == (8, 150, 170)
    assert fields.dtype == np.float32
    assert abs(fields.mean()) < 0.25
    assert 0.7 < fields.std() < 1.2
    assert np.abs(np.diff(fields, axis=2)).mean() < 1.2 / scale  # a step per px is small beside the length


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 2, [0, 0, 0.5, 1, 1]), (2, 0, [1, 1, 0.5, 0, 0])])
def test_ramp(low, high, expected):
    np.testing.assert_allclose(ramp(np.array([-1.0, 0, 1, 2, 3]), low, high), expected)


def test_resize_keeps_a_constant():
    np.testing.assert_allclose(resize(np.full((5, 4), 3.0, np.float32), (17, 9)), np.full((17, 9), 3.0), rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_layout(seed):
    size = (200, 260)
    layout = draw_layout(np.random.default_rng(seed), size)
    for name, value in vars(layout).items():
        assert value.shape[-2:] == size, name
        assert np.isfinite(value).all(), name
    np.testing.assert_allclose(layout.weights.sum(0), 1, atol=1e-4)
    assert layout.weights.min() >= -1e-6
    # deep in the epithelium the mask says so, far outside it does not
    assert (layout.mask[layout.depth > 3] == TE).all()
    assert (layout.mask[layout.depth < -8] != TE).all()
    assert layout.mask.max() <= TAS  # nothing is cut out yet


@pytest.mark.parametrize("seed", range(4))
def test_open_spaces(seed):
    layout = draw_layout(np.random.default_rng(seed), (240, 240))
    before = layout.mask.copy()
    tear = smooth_noise(np.random.default_rng(seed + 10), (240, 240), 20)
    glass = open_spaces(layout, tear, share=0.1)
    white = layout.mask == WHITE
    assert white.any()
    assert (glass[white] >= 0.5).all()
    assert (glass[~white] <= 0.5).all()
    np.testing.assert_array_equal(layout.mask[~white], before[~white])
    assert np.bincount(label(white, connectivity=1).ravel())[1:].min() >= 60
