from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from scripts.slides.blend import Blend
from scripts.slides.window_values import WindowValues


def test_one_window_is_itself(rng):
    maps = torch.from_numpy(rng.dirichlet([1, 1, 1], (1, 12, 10)).transpose(0, 3, 1, 2).astype(np.float32).copy())
    blend = Blend(3, 30, (12, 10))
    blend.add(5, [7], maps)
    found, seen = blend.means(5, 12, 0, 30)
    np.testing.assert_allclose(found[:, :, 7:17], maps[0], atol=1e-6)
    assert (found[:, :, :7] == 0).all() and (found[:, :, 17:] == 0).all()
    assert seen[:, 7:17].all() and not seen[:, :7].any() and not seen[:, 17:].any()


@pytest.mark.parametrize("held", [None, 24, 31])
def test_windows_are_weighted_as_monai_weighs_them(rng, held):
    """Rows are let go while it moves down."""
    image = torch.from_numpy(rng.random((1, 3, 56, 40), dtype=np.float32))
    place = torch.linspace(0, 1, 16)[None, None, :, None]  # what a window gives depends on where it stands

    def network(x):
        return torch.softmax(4 * x * (place + 0.5), dim=1)

    expected = SlidingWindowInferer((16, 16), overlap=0.5, mode="gaussian")(image, network)[0]
    blend, found, classes = Blend(3, 40, (16, 16), held), [], []
    values = WindowValues(blend.weight.numpy())
    for top in range(0, 48, 8):
        windows = torch.cat([image[:, :, top : top + 16, x : x + 16] for x in range(0, 32, 8)])
        blend.add(top, range(0, 32, 8), network(windows))
        values.add(top, range(0, 32, 8), windows.mean(dim=(2, 3)).numpy())
        height = 8 if top < 40 else 16
        found.append(blend.means(top, height, 0, 40)[0])
        classes.append(values.means(top, height, 0, 40))
        blend.clear(top, height)
        values.clear(top + height)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5)
    assert not values  # all are let go

    def spread(x):
        return x.mean(dim=(2, 3), keepdim=True).repeat(1, 1, 16, 16)

    expected = SlidingWindowInferer((16, 16), overlap=0.5, mode="gaussian")(image, spread)[0]
    np.testing.assert_allclose(np.concatenate(classes, axis=1), expected, atol=1e-5)


def test_values_are_of_the_pixels_that_windows_see():
    values = WindowValues(np.ones((4, 6), np.float32))
    values.add(2, [3, 20], np.array([[0.5, 0.2], [0.7, 0.1]], np.float32))
    values.add(5, [6], np.array([[0.1, 0.6]], np.float32))
    found = values.means(0, 10, 1, 14)  # columns 1 to 13
    assert found.shape == (2, 10, 13)
    np.testing.assert_allclose(found[:, 3, 2], [0.5, 0.2])  # row 3, column 3
    np.testing.assert_allclose(found[:, 5, 5], [0.3, 0.4], rtol=1e-6)  # row 5, column 6: of two
    np.testing.assert_allclose(found[:, 6, 5], [0.1, 0.6])
    assert (found[:, :2] == 0).all() and (found[:, :, :2] == 0).all() and (found[:, :, 12:] == 0).all()
    values.clear(6)
    assert (values.means(0, 6, 0, 6) == 0).all() and values.means(5, 1, 6, 7).max() == np.float32(0.6)


@pytest.mark.parametrize("top", [0, 3, 15, 16, 37])
def test_rows_that_are_let_go_are_empty(top):
    blend = Blend(2, 16, (16, 16))
    blend.add(top, [0], torch.ones(1, 2, 16, 16))
    blend.clear(top, 4)
    assert not blend.means(top, 4, 0, 16)[1].any() and blend.means(top + 4, 12, 0, 16)[1].all()
