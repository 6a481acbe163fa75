"""Tissue by its colour: shares, glass, ink, specks and holes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scripts.slides.slide_reading import open_slide
from scripts.slides.tissue_mask import all_tissue, find_tissue

pytest.importorskip("openslide")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from drawn_slide import write_drawn_slide

GLASS, PINK, VIOLET = (242, 241, 243), (225, 150, 190), (110, 70, 150)


def slide_of(path, parts, size=(1600, 1600), mpp=1.0, noise=2.0):
    """A slide of glass with boxes [(place, colour)], each pixel a little off."""
    image = np.full((*size, 3), GLASS, np.int16)
    for place, colour in parts:
        image[place] = colour
    grain = np.rint(np.random.default_rng(0).normal(0, noise, (200, 200, 3))).astype(np.int16)
    image += np.tile(grain, (size[0] // 200 + 1, size[1] // 200 + 1, 1))[: size[0], : size[1]]
    tifffile.imwrite(
        path, np.clip(image, 0, 255).astype(np.uint8), photometric="rgb", tile=(256, 256), compression="zlib",
        compressionargs={"level": 1}, resolution=(1e4 / mpp, 1e4 / mpp), resolutionunit="centimeter", metadata=None,
    )  # fmt: skip
    return open_slide(path)


def test_a_drawn_slide(tmp_path):
    truth = write_drawn_slide(tmp_path / "a.tif", 1600, compression="zlib")
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5), rel=1e-4) and len(slide.levels) >= 2
        mask = find_tissue(slide, 1.0)
    assert 0.3 < truth < 0.5
    assert mask.share(0, 0, *mask.size) == pytest.approx(truth, abs=0.06)  # small islands are none, lumens are not filled
    assert mask.area_mm2 == pytest.approx(mask.share(0, 0, *mask.size) * 0.64, rel=1e-6)


def test_boxes_of_tissue_and_their_shares(tmp_path):
    with slide_of(tmp_path / "a.tif", [(np.s_[400:1200, 400:800], PINK)]) as slide:
        mask = find_tissue(slide, 2.0)
    assert mask.size == (800, 800)
    assert mask.area_mm2 == pytest.approx(0.32, rel=0.01)
    assert mask.share(200, 200, 400, 200) == 1 and mask.share(0, 0, 200, 800) == 0
    assert mask.share(100, 200, 200, 200) == pytest.approx(0.5, abs=0.01)
    assert mask.share(200, 300, 100, 200) == pytest.approx(0.5, abs=0.01)
    assert mask.share(-100, 200, 600, 200) == pytest.approx(0.5, abs=0.01)  # beyond the map is none
    rows = mask.rows(150, 500)
    assert rows.shape == (500, 800) and rows.dtype == bool
    truth = np.zeros((500, 800), bool)
    truth[50:450, 200:400] = True
    assert (rows != truth).mean() < 0.002
    assert not mask.rows(795, 10)[5:].any() and not mask.rows(-5, 5).any()
    whole = np.concatenate([mask.rows(top, 100) for top in range(0, 800, 100)])
    for box in ((3, 5, 222, 333), (500, 100, 224, 224), (0, 0, 800, 800)):
        top, left, height, width = box
        assert mask.share(*box) == pytest.approx(whole[top : top + height, left : left + width].mean(), abs=0.01)


@pytest.mark.parametrize("noise", [0.0, 2.0, 5.0])
def test_a_blank_slide_has_no_tissue(tmp_path, noise):
    with slide_of(tmp_path / "a.tif", [], noise=noise) as slide:
        mask = find_tissue(slide, 1.0)
    assert mask.area_mm2 == 0 and not mask.rows(0, 100).any() and mask.share(0, 0, 100, 100) == 0


def test_a_slide_without_glass_is_all_tissue(tmp_path):
    with slide_of(tmp_path / "a.tif", [(np.s_[:], PINK), (np.s_[:800], VIOLET)]) as slide:
        assert find_tissue(slide, 1.0).share(0, 0, 1600, 1600) == 1


@pytest.mark.parametrize(
    "ink",
    [(40, 60, 160), (30, 40, 200), (60, 120, 200), (20, 130, 60), (30, 150, 140), (25, 25, 28), (205, 25, 40)],
    ids=["blue", "royal blue", "light blue", "green", "teal", "black", "red"],
)
def test_ink_is_no_tissue(tmp_path, ink):
    boxes = [(np.s_[200:600, 200:1400], ink)]
    with slide_of(tmp_path / "a.tif", boxes) as slide:
        assert find_tissue(slide, 1.0).area_mm2 == 0  # all pen
    boxes.append((np.s_[900:1400, 300:1300], PINK))
    with slide_of(tmp_path / "b.tif", boxes) as slide:
        assert find_tissue(slide, 1.0).area_mm2 == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize(
    "stain",
    [
        PINK,
        VIOLET,
        (120, 80, 150),
        (90, 80, 155),
        (60, 52, 130),
        (235, 190, 215),
        (190, 70, 85),
        (200, 60, 110),
        (120, 60, 70),
    ],
)
def test_stained_tissue_is_no_ink(tmp_path, stain):
    with slide_of(tmp_path / "a.tif", [(np.s_[400:1200, 400:1200], stain)]) as slide:
        assert find_tissue(slide, 1.0).area_mm2 == pytest.approx(0.64, rel=0.01)


def test_specks_and_holes_count_by_their_area(tmp_path):
    parts = [
        (np.s_[400:1200, 400:1200], PINK),
        (np.s_[600:680, 600:680], GLASS),  # 6,400 µm²
        (np.s_[800:1100, 800:1100], GLASS),  # 90,000
        (np.s_[100:180, 100:180], PINK),  # 6,400
        (np.s_[100:300, 1300:1500], PINK),  # 40,000
    ]
    with slide_of(tmp_path / "a.tif", parts) as slide:
        mask = find_tissue(slide, 1.0)
        assert mask.share(600, 600, 80, 80) == 1 and mask.share(820, 820, 260, 260) == 0
        assert mask.share(100, 100, 80, 80) == 0 and mask.share(104, 1304, 192, 192) == 1
        mask = find_tissue(slide, 1.0, speck=0, hole=0)
        assert mask.share(616, 616, 48, 48) == 0 and mask.share(116, 116, 48, 48) == 1
    with slide_of(tmp_path / "b.tif", parts, mpp=0.25) as slide:  # the same px are a sixteenth of the area
        assert find_tissue(slide, 0.25, mask_mpp=2).share(820, 820, 260, 260) == 1


def test_what_cannot_be_read_counts_as_tissue(tmp_path):
    path = tmp_path / "a.tif"
    slide_of(path, [(np.s_[1024:1280, 0:256], PINK)]).close()
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    with open_slide(path) as slide:
        mask = find_tissue(slide, 1.0)
    assert mask.share(0, 0, 256, 256) == 1 and mask.share(512, 512, 512, 512) == 0


def test_all_tissue(tmp_path):
    with slide_of(tmp_path / "a.tif", [], size=(301, 257), mpp=0.5) as slide:
        mask = all_tissue(slide, 1.0)
    assert mask.size == (150, 128) and mask.rows(0, 150).all() and mask.rows(10, 3).shape == (3, 128)
    assert mask.area_mm2 == pytest.approx(150 * 128 / 1e6) and mask.share(20, 20, 50, 50) == 1


def test_a_large_slide_has_a_coarser_mask(tmp_path, monkeypatch):
    with slide_of(tmp_path / "a.tif", [(np.s_[400:1200, 400:800], PINK)]) as slide:
        monkeypatch.setattr("scripts.slides.tissue_mask._MOST_PIXELS", 10_000)
        mask = find_tissue(slide, 1.0)
    assert mask.mask.size <= 10_100 and mask.area_mm2 == pytest.approx(0.32, rel=0.05)
