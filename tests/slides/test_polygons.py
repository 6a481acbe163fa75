from __future__ import annotations

import numpy as np
import pytest
from made_maps import WHITE, Rows, smooth_map
from scripts.slides.polygons import polygons

features = pytest.importorskip("rasterio.features")
shapely = pytest.importorskip("shapely")


def painted(components, shape):
    values = ((c.shape, c.value) for c in components)
    return features.rasterize(values, out_shape=shape, fill=WHITE, dtype="uint8")


def as_exported(labels):
    return np.where(labels < WHITE, labels, WHITE)


@pytest.mark.parametrize("block", [64, 100, 2048])
@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_without_tolerance_every_pixel_comes_back(kind, block, rng):
    labels = smooth_map((150, 210), 4) if kind == "smooth" else rng.integers(0, 5, (130, 170)).astype(np.uint8)
    found = list(polygons(Rows(labels), WHITE, 0, block))
    assert (painted(found, labels.shape) == as_exported(labels)).all()
    assert all(c.shape.geom_type == "Polygon" and c.shape.is_valid for c in found)
    assert all(c.pixels == c.shape.area == pytest.approx(c.shape.area) for c in found)
    assert all(labels[c.first] == c.value for c in found)


@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_components_do_not_depend_on_the_blocks(kind, rng):
    labels = smooth_map((150, 210), 4) if kind == "smooth" else rng.integers(0, 4, (130, 170)).astype(np.uint8)
    found = [
        sorted((c.first, c.value, c.pixels, len(c.shape.interiors)) for c in polygons(Rows(labels), WHITE, 0, block))
        for block in (50, 64, 1000)
    ]
    assert found[0] == found[1] == found[2]


def test_a_simplified_map_is_the_map_at_a_fraction_of_the_corners():
    labels = smooth_map(sigma=30)
    exact, found = (list(polygons(Rows(labels), WHITE, t, 512)) for t in (0, 1.0))
    assert (painted(found, labels.shape) == as_exported(labels)).mean() > 0.995
    counts = [sum(shapely.get_num_coordinates(c.shape) for c in cs) for cs in (exact, found)]
    assert counts[1] < 0.2 * counts[0]
    assert all(c.shape.is_valid and c.shape.geom_type == "Polygon" for c in found)
    for value in range(WHITE):
        area = sum(c.shape.area for c in found if c.value == value)
        assert area == pytest.approx((labels == value).sum(), rel=1e-3)


def test_shared_borders_stay_shared():
    labels = smooth_map()
    shapes = [c.shape for c in polygons(Rows(labels), WHITE, 1.5)]
    tree = shapely.STRtree(shapes)
    pairs = tree.query(shapes, predicate="intersects")
    one, other = pairs[:, pairs[0] < pairs[1]]
    overlap = shapely.area(shapely.intersection(np.array(shapes)[one], np.array(shapes)[other]))
    assert overlap.sum() < 1e-3 * shapely.area(shapes).sum() / 100
    # without background there are no gaps either
    labels = np.minimum(labels, WHITE - 1)
    whole = shapely.union_all([c.shape for c in polygons(Rows(labels), WHITE, 1.5)])
    assert whole.area == pytest.approx(labels.size, abs=1)


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 2.0, 5.0])
def test_noise_stays_valid(tolerance, rng):
    labels = rng.integers(0, 4, (200, 200)).astype(np.uint8)
    found = list(polygons(Rows(labels), WHITE, tolerance, 128))
    assert all(c.shape.is_valid and c.shape.geom_type == "Polygon" and c.shape.area > 0 for c in found)
    assert sum(c.pixels for c in found) == (labels < WHITE).sum()


def test_holes_are_kept_and_diagonals_are_not_joined():
    labels = np.full((40, 40), WHITE, np.uint8)
    labels[5:35, 5:35] = 0
    labels[10:20, 10:20] = WHITE
    labels[20:30, 20:30] = WHITE  # touches the other hole in a corner
    labels[12:15, 12:15] = 1  # an island in a hole
    labels[35:38, 35:38] = 0  # touches in a corner
    found = {c.first: c for c in polygons(Rows(labels), WHITE, 1.0)}
    assert set(found) == {(5, 5), (12, 12), (35, 35)}
    assert len(found[5, 5].shape.interiors) == 2
    assert found[5, 5].pixels == 900 - 200
    assert found[5, 5].shape.area == pytest.approx(700, rel=0.01)


def test_nothing_but_background():
    assert list(polygons(Rows(np.full((30, 30), WHITE, np.uint8)), WHITE)) == []
    assert list(polygons(Rows(np.full((30, 30), 255, np.uint8)), WHITE)) == []


def test_reads_a_block_of_rows_at_a_time():
    rows = Rows(smooth_map())
    list(polygons(rows, WHITE, 1.0, 128))
    assert rows.most == 128
