from __future__ import annotations

import json

import numpy as np
import pytest
from scripts.slides.slide_reading import open_slide
from scripts.slides.tissue_choice import choose_tissue
from small_slides import drawn, write_slide

pytest.importorskip("openslide")


@pytest.fixture
def slide(tmp_path):
    with open_slide(write_slide(tmp_path / "s.tif", drawn())) as opened:
        yield opened


def write_regions(path, left, right):
    ring = [[left, 0], [right, 0], [right, 800], [left, 800], [left, 0]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_found_everywhere_or_drawn(slide, tmp_path):
    truth = (drawn().max(2) - drawn().min(2) > 20)[::2, ::2]
    truth[:, 180:] = False  # a speck of 0.005 mm²
    assert (choose_tissue(slide, 1.0).rows(0, 240) == truth).mean() > 0.97
    assert choose_tissue(slide, 1.0, "none").rows(0, 240).all()
    found = choose_tissue(slide, 1.0, str(write_regions(tmp_path / "r.geojson", 200, 500))).rows(0, 240)
    assert np.abs(np.flatnonzero(found[120])[[0, -1]] - [100, 249]).max() <= 4


def test_a_folder_has_a_file_for_each_slide(slide, tmp_path):
    (tmp_path / "regions").mkdir()
    with pytest.raises(FileNotFoundError, match=r"s\.geojson"):
        choose_tissue(slide, 1.0, str(tmp_path / "regions"))
    write_regions(tmp_path / "regions/s.geojson", 0, 1000)
    assert choose_tissue(slide, 1.0, str(tmp_path / "regions")).rows(0, 240).mean() > 0.99


def test_a_misspelt_word_is_no_file(slide):
    with pytest.raises(FileNotFoundError, match="found no regions atuo; expected auto, none, a GeoJSON"):
        choose_tissue(slide, 1.0, "atuo")
