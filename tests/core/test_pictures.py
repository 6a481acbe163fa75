from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scripts.core import pictures
from scripts.core.facts import DatasetFacts
from scripts.core.pictures import class_areas, colourise, data_uri, legend, overlay, strip

FACTS = DatasetFacts(classes=("a", "b"), palette=((200, 0, 0), (0, 0, 200)), mpp=2.0, white_background=True)
MASK = np.array([[0, 0, 1, 1], [0, 0, 1, 2]], np.uint8)


def test_colours():
    assert colourise(MASK, FACTS)[0, 0].tolist() == [200, 0, 0] and colourise(MASK, FACTS)[1, 3].tolist() == [255] * 3


def test_overlay_blends_tissue_and_leaves_white():
    image = np.full((2, 4, 3), 100, np.uint8)
    plain = overlay(image, MASK, FACTS, alpha=0.5, outline=False)
    assert plain[0, 0].tolist() == [150, 50, 50] and plain[1, 3].tolist() == [100] * 3
    outlined = overlay(image, MASK, FACTS, alpha=0.5)
    dark = (outlined == 20).all(axis=2)
    assert dark.tolist() == [[False, True, True, False]] * 2  # where a and b meet, not where b meets white
    assert (outlined[~dark] == plain[~dark]).all()
    assert (overlay(image, MASK, FACTS, alpha=0, outline=False) == image).all()
    with pytest.raises(ValueError, match="size"):
        overlay(image, MASK[:1], FACTS)


maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3))


@given(maps, st.integers(0, 2**32 - 1))
def test_overlay_commutes_with_flips_and_turns(mask, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    for move in (np.flipud, np.fliplr, lambda a: np.swapaxes(a, 0, 1)):
        assert (overlay(move(image), move(mask), FACTS) == move(overlay(image, mask, FACTS))).all()
    white = mask >= FACTS.num_classes
    assert (overlay(image, mask, FACTS)[white] == image[white]).all()


def test_overlay_in_bands_is_seamless(monkeypatch, rng):
    image, mask = rng.integers(0, 256, (11, 6, 3), dtype=np.uint8), rng.integers(0, 3, (11, 6), dtype=np.uint8)
    whole = overlay(image, mask, FACTS)
    monkeypatch.setattr(pictures, "_BAND", 4)
    assert (overlay(image, mask, FACTS) == whole).all()


def test_overlay_leaves_its_input_alone(rng):
    image, mask = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), rng.integers(0, 3, (5, 6), dtype=np.uint8)
    before = image.copy(), mask.copy()
    overlay(image, mask, FACTS)
    assert (image == before[0]).all() and (mask == before[1]).all()


def test_areas():
    areas = class_areas(MASK, FACTS, mpp=2.0)
    assert areas["a"] == {"pixels": 4, "percent": 57.143, "mm2": 16e-6} and areas["b"]["pixels"] == 3
    assert class_areas(MASK, FACTS, mpp=1000)["a"]["mm2"] == 4
    assert class_areas(MASK, FACTS, mpp=(1000, 500))["a"]["mm2"] == 2
    assert "mm2" not in class_areas(MASK, FACTS)["a"]  # the training patches' pixel size is not the image's
    assert class_areas(np.full((2, 2), 2), FACTS)["a"]["percent"] == 0


def test_legend_shows_every_colour():
    picture = legend(FACTS)
    colours = {tuple(c) for c in picture.reshape(-1, 3)}
    assert {(200, 0, 0), (0, 0, 200)} <= colours


def test_strip_and_uri():
    panel = np.zeros((10, 20, 3), np.uint8)
    picture = strip([("one", panel), ("two", panel)], height=50, gap=4)
    assert picture.shape == (50 + 28, 2 * 100 + 12, 3)
    titled = strip([("a title much wider than its picture", panel[:, :5]), ("two", panel)], height=50, gap=4)
    assert titled.shape[1] > 200 + 100 and (titled[50, -5] == 0).all()
    uri = data_uri(np.zeros((100, 50, 3), np.uint8), longest=40)
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert uri.startswith("data:image/jpeg;base64,") and image.size == (20, 40)
