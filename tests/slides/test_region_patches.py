from __future__ import annotations

import numpy as np
import pytest
from scripts.slides.region_patches import PatchRule, label_patches
from scripts.slides.regions import NOT_SAID, Area, Regions

pytest.importorskip("rasterio")
shapely = pytest.importorskip("shapely")

RULE = PatchRule(1.0, (64, 64), 64)


class _Tissue:
    """Tissue where ``mask`` says it."""

    def __init__(self, mask):
        self.mask = mask

    def rows(self, top, height):
        return self.mask[top : top + height]


def _area(value, top, left, bottom, right):
    shape = shapely.box(left, top, right, bottom)
    return Area(value, shape, (top, left, bottom, right), shape.area)


def _label(areas=(), told=(), mask=None, rule=RULE, size=(256, 320), pixel=(1.0, 1.0)):
    tissue = _Tissue(np.ones(size, bool) if mask is None else mask)
    return label_patches(Regions(list(areas), list(told)), tissue, size, pixel, rule, 3)


def test_a_class_is_in_the_label_above_the_threshold():
    found = _label([_area(0, 0, 0, 64, 320), _area(1, 0, 0, 64, 4), _area(2, 0, 64, 64, 66)])
    assert found.patches[0, 0] == (0, 1)  # 4 of 64 columns: 6.25 %
    assert found.patches[0, 64] == (0,)  # 2 of 64: 3.1 %
    assert len(found.patches) == 5 and not found.left_out


@pytest.mark.parametrize(("edge", "known"), [(60, False), (62, True)])
def test_regions_must_cover_95_percent_of_the_tissue(edge, known):
    found = _label([_area(0, 0, 0, 64, edge)])
    assert ((0, 0) in found.patches) is known
    assert found.left_out == ({} if known else {"not covered by regions": 1})
    mask = np.ones((256, 320), bool)
    mask[:, 48:] = False  # what is not covered is glass: nothing is missing
    assert _label([_area(0, 0, 0, 64, 48)], mask=mask).patches == {(0, 0): (0,)}


def test_white_that_is_a_background_need_not_be_covered():
    asked = []

    def white(top, left):
        asked.append((top, left))
        found = np.zeros((64, 64), bool)
        found[:, 30:] = top == 0
        return found

    regions = Regions([_area(0, 0, 0, 128, 30), _area(1, 0, 64, 128, 128)], [])
    found = label_patches(regions, _Tissue(np.ones((256, 320), bool)), (256, 320), (1.0, 1.0), RULE, 3, white)
    assert found.patches == {(0, 0): (0,), (0, 64): (1,), (64, 64): (1,)}
    assert asked == [(0, 0), (64, 0)]  # of the others nothing depends on it


def test_absent_by_word():
    rule = PatchRule(1.0, (64, 64), 64, unnamed="absent")
    assert _label([_area(1, 0, 0, 64, 20)], rule=rule).patches == {(0, 0): (1,)}
    found = _label([_area(1, 0, 0, 64, 2)], rule=rule)
    assert not found.patches and found.left_out == {"in which no class reaches label_threshold": 1}


def test_glass_is_left_out():
    mask = np.zeros((256, 320), bool)
    mask[:64, :80] = True  # 16 of 64 columns of the second patch
    rule = PatchRule(1.0, (64, 64), 64, min_tissue=0.26)
    found = _label([_area(0, 0, 0, 256, 320)], [(150.0, 200.0, (1,)), (32.0, 70.0, (2,))], mask, rule)
    assert found.patches == {(0, 0): (0,), (0, 38): (2,)}
    assert found.left_out == {"without tissue, though described": 1, "with too little tissue": 1}
    rule = PatchRule(1.0, (64, 64), 64, min_tissue=0.25)
    assert (0, 64) in _label([_area(0, 0, 0, 64, 128)], mask=mask, rule=rule).patches


def test_patches_that_are_told_lie_around_their_middle_within_the_slide():
    found = _label(told=[(100.0, 100.0, (0,)), (0.0, 0.0, (1,)), (256.0, 320.0, (2,)), (100.4, 100.0, (1,))])
    assert found.patches == {(68, 68): (0, 1), (0, 0): (1,), (192, 256): (2,)}


def test_pixels_of_level_0_need_not_be_square():
    found = _label([_area(0, 0, 0, 128, 64 * 4)], pixel=(2.0, 4.0), told=[(200.0, 800.0, (1,))])
    assert found.patches == {(0, 0): (0,), (68, 168): (1,)}


@pytest.mark.parametrize(("size", "stride"), [((64, 64), 16), ((96, 64), 32), ((67, 71), 13), ((224, 224), 100)])
def test_cells_are_where_the_patches_are(size, stride, monkeypatch):
    """Against every pixel, in bands of one row of patches or all together."""
    height, width = 400, 500
    edges = 143, 331
    areas = [_area(0, 0, 0, height, width), _area(1, 30, edges[0], 300, edges[1]), _area(NOT_SAID, 350, 0, 400, 100)]
    truth = np.zeros((height, width), int)
    truth[30:300, edges[0] : edges[1]] = 1
    truth[350:, :100] = NOT_SAID
    rule = PatchRule(1.0, size, stride)
    found = _label(areas, rule=rule, size=(height, width))
    expected = {}
    for top in range(0, height - size[0] + 1, stride):
        for left in range(0, width - size[1] + 1, stride):
            block = truth[top : top + size[0], left : left + size[1]]
            shares = [(block == k).mean() for k in range(3)]
            near = any(abs(s - 0.05) < 0.04 for s in shares) or abs(sum(shares) - 0.95) < 0.03  # a cell decides
            expected[top, left] = (
                None if near else tuple(k for k in range(3) if shares[k] > 0.05) if sum(shares) > 0.95 else ()
            )
    sure = {place: label for place, label in expected.items() if label is not None}
    assert len(sure) > len(expected) / 2
    assert {p: found.patches.get(p, ()) for p in sure} == sure
    monkeypatch.setattr("scripts.slides.region_patches._AT_ONCE", 1)
    assert _label(areas, rule=rule, size=(height, width)).patches == found.patches


def test_patches_larger_than_the_slide():
    found = _label([_area(0, 0, 0, 50, 50)], [(3.0, 3.0, (0,))], size=(63, 320))
    assert not found.patches and found.left_out == {"larger than the slide": 2}


def test_nothing_is_drawn_where_nothing_is_said():
    assert not _label([_area(NOT_SAID, 0, 0, 256, 320)]).patches
    assert not _label([]).patches
