from __future__ import annotations

import numpy as np
from scripts.core.white import white_background


def _image(size=(20, 20), value=100):
    return np.full((*size, 3), value, np.uint8)


def test_threshold_is_exclusive():
    assert not white_background(_image(value=200)).any()
    assert white_background(_image(value=201)).all()


def test_small_components_and_diagonals():
    image = _image()
    image[:7, :7] = 255  # 49 px: too small
    assert not white_background(image).any()
    image[7, 0] = 255  # 50 px
    assert white_background(image).sum() == 50
    image[7, 0] = 100
    image[7, 7] = 255  # touches by its corner only
    assert not white_background(image).any()


def test_luma_not_mean():
    image = _image()
    image[..., 1] = 255  # green weighs 0.587: 100 * 0.413 + 255 * 0.587 = 191
    assert not white_background(image).any()
    image[..., 0] = 140  # 140 * 0.299 + 255 * 0.587 + 100 * 0.114 = 202.9
    assert white_background(image).all()


def test_published_program(parity):
    arrays = np.load(parity / "pseudo_masks.npz")
    for image, masks in zip(arrays["image"], arrays["mask"], strict=True):
        assert (white_background(image) == (masks[0, 0, 0] == 4)).all()
