from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from scripts.slides.blend import Blend


def test_one_window_is_itself(rng):
    maps = torch.from_numpy(rng.dirichlet([1, 1, 1], (1, 12, 10)).transpose(0, 3, 1, 2).astype(np.float32).copy())
    blend = Blend(3, 30, (12, 10))
    blend.add(5, [7], maps)
    found = blend.probabilities(5, 12, 0, 30)
    np.testing.assert_allclose(found[:, :, 7:17], maps[0], atol=1e-6)
    assert (found[:, :, :7] == 0).all() and (found[:, :, 17:] == 0).all()
    labels = blend.labels(5, 12, 0, 30, 9)
    assert (labels[:, 7:17] == maps[0].argmax(0).numpy()).all()
    assert (labels[:, :7] == 9).all() and (labels[:, 17:] == 9).all()


def test_the_first_of_equals():
    blend = Blend(3, 8, (8, 8))
    blend.add(0, [0], torch.full((1, 3, 8, 8), 1 / 3))
    assert (blend.labels(0, 8, 0, 8, 9) == 0).all()


def test_windows_are_weighted_as_monai_weighs_them(rng):
    """Rows are let go while it moves down."""
    image = torch.from_numpy(rng.random((1, 3, 56, 40), dtype=np.float32))
    place = torch.linspace(0, 1, 16)[None, None, :, None]  # what a window gives depends on where it stands

    def network(x):
        return torch.softmax(4 * x * (place + 0.5), dim=1)

    expected = SlidingWindowInferer((16, 16), overlap=0.5, mode="gaussian")(image, network)[0]
    blend, found = Blend(3, 40, (16, 16)), []
    for top in range(0, 48, 8):
        blend.add(
            top, range(0, 32, 8), network(torch.cat([image[:, :, top : top + 16, x : x + 16] for x in range(0, 32, 8)]))
        )
        height = 8 if top < 40 else 16
        found.append(blend.probabilities(top, height, 0, 40))
        blend.clear(top, height)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5)


@pytest.mark.parametrize("top", [0, 3, 15, 16, 37])
def test_rows_that_are_let_go_are_empty(top):
    blend = Blend(2, 16, (16, 16))
    blend.add(top, [0], torch.ones(1, 2, 16, 16))
    blend.clear(top, 4)
    assert (blend.labels(top, 4, 0, 16, 9) == 9).all() and (blend.labels(top + 4, 12, 0, 16, 9) == 0).all()
