"""Images and slides, read box by box."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from made_slides import stained, write_slide
from scripts.core.image_writers import write_image
from scripts.labelling.patch_sources import is_slide, open_source


def test_tissue_is_what_is_not_white(tmp_path):
    image = np.full((64, 64, 3), 120, np.uint8)
    image[:, 32:] = 255
    write_image(tmp_path / "a.png", image)
    source = open_source(tmp_path / "a.png")
    assert source.size == (64, 64) and source.mpp is None
    assert source.tissue(0, 0, 64, 64) == pytest.approx(0.5)
    assert source.tissue(0, 0, 64, 32) == 1.0
    assert source.tissue(0, 48, 64, 32) == 0.0


def test_a_pixel_size_that_is_asked_for_is_that_of_images_that_state_none(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8))
    assert open_source(tmp_path / "a.png", 0.5).mpp == (0.5, 0.5)
    write_image(tmp_path / "b.png", np.zeros((16, 16, 3), np.uint8), (0.25, 0.25))
    assert open_source(tmp_path / "b.png").mpp == pytest.approx((0.25, 0.25), rel=1e-3)


def test_a_slide_is_read_at_the_pixel_size_of_the_patches_where_there_is_tissue(tmp_path):
    image = stained((512, 640), glass=100)
    path = write_slide(tmp_path / "a.tif", image, mpp=0.5)
    assert is_slide(path)
    fine, coarse = open_source(path, 0.5), open_source(path, 1.0)
    assert fine.size == (512, 640) and coarse.size == (256, 320) and coarse.mpp == (1.0, 1.0)
    box = fine.read(100, 300, 64, 64)
    assert np.array_equal(box, image[100:164, 300:364])
    assert np.abs(coarse.read(50, 150, 32, 32).mean() - box.mean()) < 6
    found = [fine.tissue(y, x, 64, 64) for y in range(0, 448, 64) for x in range(0, 576, 64)]
    assert min(found) < 0.1 and max(found) > 0.9
    fine.close()
    coarse.close()


def test_a_slide_that_is_coarser_than_the_patches_is_refused(tmp_path):
    path = write_slide(tmp_path / "a.tif", stained((512, 640)), mpp=2.0)
    with pytest.raises(ValueError, match=r"a.tif: has 2 µm/px, coarser than the 0.5 of the patches"):
        open_source(path)


def test_a_plain_tiff_is_an_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((64, 64, 3), 120, np.uint8), photometric="rgb")
    assert not is_slide(tmp_path / "a.tif")
    assert open_source(tmp_path / "a.tif").size == (64, 64)
