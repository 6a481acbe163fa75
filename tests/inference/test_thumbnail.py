from __future__ import annotations

import os

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.inference.results import made_from
from scripts.inference.thumbnail import thumbnail

FACTS = DatasetFacts(classes=("a", "b"), white_background=True)


@pytest.fixture
def made(tmp_path):
    """An image of some size whose left half is of the first class and dark, and its result."""

    def make(height, width, mpp=None):
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 2 :] = 1
        write_image(tmp_path / "image.png", np.repeat(mask[..., None] * np.uint8(200), 3, axis=2))
        write_mask(tmp_path / "mask.png", mask, FACTS)
        entry = {"image": str(tmp_path / "image.png"), **({} if mpp is None else {"mpp": mpp})}
        return {"image": entry["image"], "mpp": mpp, "made_from": made_from(entry)}, tmp_path / "mask.png"

    return make


def test_a_small_image_is_as_it_is(made):
    image, labels, mpp = thumbnail(*made(30, 40))
    assert image.shape == (30, 40, 3) and labels.shape == (30, 40) and mpp is None
    assert (image[:, :20] == 0).all() and (image[:, 20:] == 200).all() and (labels[:, 20:] == 1).all()


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 2201), (334, 734)), ((2160, 7), (720, 3)), ((719, 1441), (360, 721))]
)
def test_a_large_one_is_smaller_with_its_labels_and_its_pixels_larger(made, size, expected):
    image, labels, mpp = thumbnail(*made(*size, mpp=(0.5, 0.25)))
    assert image.shape == (*expected, 3) and labels.shape == expected and image.dtype == labels.dtype == np.uint8
    assert mpp * expected[1] == pytest.approx(0.25 * size[1])  # the same width in µm
    assert ((image[..., 0] > 100) == (labels == 1)).mean() >= (2 / 3 if size[1] == 7 else 0.99)


def test_what_is_gone_has_changed_or_is_damaged_has_no_picture(made, tmp_path):
    row, mask = made(30, 40, mpp=(1.0, 1.0))
    assert thumbnail(row, mask) is not None
    assert thumbnail(row, tmp_path / "none.png") is None and thumbnail({**row, "image": "elsewhere"}, mask) is not None
    assert all(thumbnail({**row, "made_from": wrong}, mask) is None for wrong in ("/none.png: 3 bytes, 4 ns", "", "x"))
    write_mask(tmp_path / "other.png", np.zeros((30, 41), np.uint8), FACTS)
    assert thumbnail(row, tmp_path / "other.png") is None
    (tmp_path / "other.png").write_bytes(b"\x89PNG")
    assert thumbnail(row, tmp_path / "other.png") is None
    os.utime(row["image"], (0, 0))
    assert thumbnail(row, mask) is None
