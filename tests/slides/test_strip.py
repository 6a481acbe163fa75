from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.slides.strip import Strip


class Picture:
    def __init__(self, size: tuple[int, int]) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
        self.boxes: list[tuple[int, int, int, int]] = []

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        self.boxes.append((top, left, height, width))
        return self.at(top, left, height, width)

    def at(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        out = np.full((height, width, 3), 255, np.uint8)
        y, x = max(0, top), max(0, left)
        part = self.pixels[y : max(y, top + height), x : max(x, left + width)]
        out[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]] = part
        return out


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_loaded_is_the_picture_and_read_once(data):
    picture = Picture((300, 700))
    strip, counts = Strip(picture.read, 700, 80, 30), np.zeros((400, 1024), int)
    top = 0
    for _ in range(6):
        left = data.draw(st.integers(-20, 690))
        right = left + data.draw(st.integers(1, 300))
        strip.load(top, top + 60, [(left, min(right, 730))])
        width = min(right, 730) - left
        assert (strip.get(top, left, 60, width) == picture.at(top, left, 60, width)).all()
        top += data.draw(st.integers(0, 50))
    for y, x, height, width in picture.boxes:
        counts[y : y + height, x : x + width] += 1
    assert counts.max() == 1


def test_blocks_side_by_side_are_read_together_and_others_not():
    picture = Picture((100, 2000))
    strip = Strip(picture.read, 2000, 50)
    strip.load(0, 40, [(10, 20), (250, 600), (1500, 1501)])
    assert picture.boxes == [(0, 0, 40, 768), (0, 1280, 40, 256)]
    strip.load(20, 50, [(10, 20)])
    assert picture.boxes[2:] == [(40, 0, 10, 256)]


@pytest.mark.parametrize(("left", "width"), [(-2, 1), (-40, 40), (600, 20)])
def test_beside_the_slide_is_white(left, width):
    strip = Strip(Picture((100, 300)).read, 300, 50)
    strip.load(0, 30, [(0, 300)])
    assert strip.get(0, left, 30, width).shape == (30, width, 3) and (strip.get(0, left, 30, width) == 255).all()


def test_above_the_slide_is_white():
    picture = Picture((100, 300))
    strip = Strip(picture.read, 300, 50)
    strip.load(0, 30, [(0, 300)])
    found = strip.get(-10, -5, 30, 50)
    assert (found[:10] == 255).all() and (found[:, :5] == 255).all()
    assert (found[10:, 5:] == picture.pixels[:20, :45]).all()
