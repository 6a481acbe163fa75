"""Regions of GeoJSON as a mask of tissue."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import tifffile
from scripts.slides.slide_reading import open_slide
from scripts.slides.tissue_regions import fill_polygon, geojson_polygons, tissue_from_geojson
from skimage.draw import polygon2mask

pytest.importorskip("openslide")


def ring(top, left, height, width):
    """Corners (x, y) of a box, closed, as GeoJSON has them."""
    bottom, right = top + height, left + width
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(kind, coordinates):
    return {
        "type": "Feature", "id": "4b0a6f7e-2c1d-4e5f-8a9b-0c1d2e3f4a5b", "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
    }  # fmt: skip


@pytest.fixture
def slide(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.full((2000, 3000, 3), 255, np.uint8), photometric="rgb", tile=(256, 256), compression="zlib",
        resolution=(20_000, 20_000), resolutionunit="centimeter", metadata=None,
    )  # fmt: skip
    with open_slide(tmp_path / "a.tif") as slide:
        yield slide


def test_polygons_with_holes_and_several_at_once(tmp_path, slide):
    content = {
        "type": "FeatureCollection",
        "features": [
            feature("Polygon", [ring(400, 400, 800, 1200), ring(600, 600, 160, 240)]),
            feature("MultiPolygon", [[ring(1400, 2000, 400, 400)], [ring(1400, 2600, 200, 200)]]),
            feature("Polygon", [ring(500, 1500, 80, 200)]),  # half of it upon the first
            feature("Point", [10, 10]),
        ],
    }
    truth = 800 * 1200 - 160 * 240 + 400 * 400 + 200 * 200 + 80 * 100
    for name, opener in {"a.geojson": open, "a.geojson.gz": gzip.open}.items():
        with opener(tmp_path / name, "wt") as file:
            json.dump(content, file)
        mask = tissue_from_geojson(tmp_path / name, slide, 1.0)
        assert mask.size == (1000, 1500)
        assert mask.area_mm2 == pytest.approx(truth * 0.25 / 1e6, rel=0.01)
        assert mask.share(200, 200, 100, 600) == 1 and mask.share(304, 304, 70, 110) == 0
        assert mask.share(700, 1000, 200, 200) == 1 and mask.share(700, 1200, 200, 100) == 0
        rows = mask.rows(0, 1000)
        assert rows[450, 500] and not rows[350, 350] and not rows[10, 10]


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: [f], lambda f: f["geometry"]], ids=["feature", "list", "geometry"])
def test_what_is_no_collection(tmp_path, slide, wrap):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(wrap(feature("Polygon", [ring(0, 0, 2000, 1500)]))))
    assert tissue_from_geojson(path, slide, 1.0).area_mm2 == pytest.approx(0.75, rel=5e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "is no GeoJSON"),
        ("[" * 100_000, "is no GeoJSON"),
        ("{}", "found no polygon"),
        (json.dumps(feature("Polygon", [ring(9000, 9000, 10, 10)])), "none of them on the slide"),
        (json.dumps(feature("Polygon", [[[0, 0], [1, 1]]])), "three or more points"),
        (json.dumps(feature("Polygon", [[["a", 0], [1, 1], [2, 3]]])), "three or more points"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [NaN, 1], [1, 1]]]}', "three or more points"),
    ],
)
def test_bad_files(tmp_path, slide, text, words):
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.geojson: .*{words}"):
        tissue_from_geojson(path, slide, 1.0)
    with pytest.raises(FileNotFoundError, match=r"none\.geojson"):
        list(geojson_polygons(tmp_path / "none.geojson"))


def test_filling_is_that_of_pixels_middles(rng):
    for _ in range(10):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        points = 50 + rng.uniform(10, 70, 9)[:, None] * np.stack(
            [np.sin(angle), np.cos(angle)], 1
        )  # reaches beyond the mask
        mask = np.zeros((100, 110), bool)
        fill_polygon(mask, [points])
        assert (mask != polygon2mask((100, 110), points - 0.5)).mean() < 1e-3
    mask = np.zeros((40, 40), bool)
    fill_polygon(
        mask, [np.array([(10, 10), (10, 20), (30, 20), (30, 10)]), np.array([(12, 12), (12, 14), (14, 14), (14, 12)])]
    )
    assert mask.sum() == 200 - 4 and mask[10:30, 10:20].sum() == 196
