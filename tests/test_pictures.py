from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scripts.facts import DatasetFacts
from scripts.pictures import class_areas, colourise, data_uri, legend, overlay, strip

FACTS = DatasetFacts(classes=("a", "b"), palette=((200, 0, 0), (0, 0, 200)), mpp=2.0, white_background=True)
MASK = np.array([[0, 0, 1, 1], [0, 0, 1, 2]], np.uint8)


def test_colours():
    assert colourise(MASK, FACTS)[0, 0].tolist() == [200, 0, 0] and colourise(MASK, FACTS)[1, 3].tolist() == [255] * 3


def test_overlay_blends_tissue_and_leaves_white():
    image = np.full((2, 4, 3), 100, np.uint8)
    plain = overlay(image, MASK, FACTS, alpha=0.5, outline=False)
    assert plain[0, 0].tolist() == [150, 50, 50] and plain[1, 3].tolist() == [100] * 3
    outlined = overlay(image, MASK, FACTS, alpha=0.5)
    assert outlined[0, 1].tolist() == [200, 0, 0] and outlined[0, 0].tolist() == [150, 50, 50]
    assert (overlay(image, MASK, FACTS, alpha=0, outline=False) == image).all()
    with pytest.raises(ValueError, match="size"):
        overlay(image, MASK[:1], FACTS)


def test_areas():
    areas = class_areas(MASK, FACTS)
    assert areas["a"] == {"pixels": 4, "percent": 57.143, "mm2": 16e-6} and areas["b"]["pixels"] == 3
    assert class_areas(MASK, FACTS, mpp=1000)["a"]["mm2"] == 4
    assert "mm2" not in class_areas(MASK, DatasetFacts(classes=("a", "b")))["a"]
    assert class_areas(np.full((2, 2), 2), FACTS)["a"]["percent"] == 0


def test_legend_shows_every_colour():
    picture = legend(FACTS)
    colours = {tuple(c) for c in picture.reshape(-1, 3)}
    assert {(200, 0, 0), (0, 0, 200)} <= colours


def test_strip_and_uri():
    panel = np.zeros((10, 20, 3), np.uint8)
    picture = strip([("one", panel), ("two", panel)], height=50, gap=4)
    assert picture.shape == (50 + 28, 2 * 100 + 12, 3)
    uri = data_uri(np.zeros((100, 50, 3), np.uint8), longest=40)
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert uri.startswith("data:image/jpeg;base64,") and image.size == (20, 40)
