from __future__ import annotations

import numpy as np
from made_maps import FACTS, WHITE, Rows, smooth_map
from PIL import Image
from scripts.slides.slide_overlay import labels_under, slide_overlay, write_slide_overlay


def test_labels_lie_under_their_pixels():
    labels = smooth_map()
    # map: 2 level-0 px per pixel; thumbnail: 8, and a little more than the map
    found = labels_under((180, 230), (8, 8), Rows(labels), (2, 2), WHITE)
    assert (found[:175, :225] == labels[2::4, 2::4]).all()
    assert (found[175:] == WHITE).all() and (found[:, 225:] == WHITE).all()


def test_colours_hatching_and_scale_bar():
    labels = np.full((100, 400), WHITE, np.uint8)
    labels[:, :100], labels[:, 300:] = 0, 255
    picture = slide_overlay(np.full((100, 400, 3), 200, np.uint8), labels, FACTS, (10.0, 10.0), alpha=0.5)
    assert picture.shape[0] == 144 and picture.shape[1] >= 400
    assert picture[50, 50].tolist() == [200, 100, 100]
    assert picture[50, 200].tolist() == [200, 200, 200]
    assert {tuple(v) for v in picture[50, 310:390].tolist()} == {(160,) * 3, (80,) * 3}
    black = (picture[122 + 10] == 0).all(1)[: 100 + 8]  # a quarter of 4 mm: 1 mm, 100 px
    assert black[8:108].all() and not black[:8].any() and not (picture[122 + 10, 108] == 0).all()


def test_is_written(tmp_path):
    labels = smooth_map()
    thumbnail = np.full((175, 225, 3), 220, np.uint8)
    write_slide_overlay(tmp_path / "a_overlay.jpg", thumbnail, (8, 8), Rows(labels), FACTS, (0.5, 0.5), (2, 2))
    with Image.open(tmp_path / "a_overlay.jpg") as image:
        assert image.height == 219 and image.width >= 225
