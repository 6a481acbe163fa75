"""TIFF files of every making: OME pyramids, planes, palettes, strips as high as the slide, BigTIFF, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from made_slides import half, picture, write_slide
from scripts.slides.openslide_files import OpenSlidePixels
from scripts.slides.slide_reading import open_slide
from scripts.slides.tiff_slides import TiffPixels

pytest.importorskip("openslide")

SIZE = (700, 520)
AT = {"resolution": (20000, 20000), "resolutionunit": "centimeter"}  # 0.5 µm/px


def write_ome(path, image, levels=3, mpp=(0.4, 0.5), unit="µm", axes="YXS", planes=False, **options):
    """A pyramid of SubIFDs, as Bio-Formats and QuPath write it."""
    options = {"tile": (128, 128), "compression": "zlib", "photometric": "rgb"} | options
    factor = {"µm": 1, "mm": 1e-3, "nm": 1e3}[unit]
    metadata = {
        "axes": axes, "PhysicalSizeY": mpp[0] * factor, "PhysicalSizeYUnit": unit,
        "PhysicalSizeX": mpp[1] * factor, "PhysicalSizeXUnit": unit,
    }  # fmt: skip
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as file:
        for level in range(levels):
            what = {"metadata": metadata, "subifds": levels - 1} if level == 0 else {"subfiletype": 1, "metadata": None}
            file.write(np.moveaxis(image, 2, 0) if planes else image, **what, **options)
            image = half(image)
    return path


@pytest.mark.parametrize("unit", ["µm", "mm", "nm"])
def test_an_ome_pyramid_of_subifds_with_physical_size(tmp_path, unit):
    image = picture(SIZE)
    with open_slide(write_ome(tmp_path / "a.ome.tif", image, unit=unit)) as slide:
        assert slide.mpp == pytest.approx((0.4, 0.5)) and slide.mpp_from == "OME PhysicalSize"
        assert slide.levels == [(1, 1, SIZE), (2, 2, (350, 260)), (4, 4, (175, 130))]
        assert (slide.read(30, 40, 200, 100, (0.4, 0.5)) == image[30:230, 40:140]).all()
        assert (slide.read(0, 0, 350, 260, (0.8, 1.0)) == half(image)).all()
        assert (slide.read(100, 90, 75, 40, (1.6, 2.0)) == half(half(image))[100:175, 90:130]).all()


def test_ome_planes_of_one_colour_each(tmp_path):
    image = picture(SIZE)
    path = write_ome(tmp_path / "a.ome.tif", image, axes="CYX", planes=True, photometric="minisblack", levels=1)
    with open_slide(path) as slide:
        assert (slide.read(5, 6, 300, 200, (0.4, 0.5)) == image[5:305, 6:206]).all()


@pytest.mark.parametrize("tile", [(128, 128), None])
def test_planar_colours(tmp_path, tile):
    image = picture(SIZE)
    tifffile.imwrite(
        tmp_path / "a.tif", np.moveaxis(image, 2, 0), photometric="rgb", planarconfig="separate", tile=tile,
        compression="zlib", rowsperstrip=None if tile else 50, metadata=None, **AT,
    )  # fmt: skip
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert (slide.read(0, 0, *SIZE, 0.5) == image).all()
        assert (slide.read(333, 111, 90, 77, 0.5) == image[333:423, 111:188]).all()


@pytest.mark.parametrize("tile", [(128, 128), None])
def test_a_palette_is_its_colours(tmp_path, tile, rng):
    colours, values = rng.integers(0, 256, (256, 3)), rng.integers(0, 256, SIZE).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="palette", colormap=(colours.T * 257).astype(np.uint16), tile=tile,
        compression="zlib", metadata=None, **AT,
    )  # fmt: skip
    with open_slide(tmp_path / "a.tif") as slide:
        assert (slide.read(7, 9, 300, 200, 0.5) == colours[values][7:307, 9:209]).all()


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey(tmp_path, photometric):
    grey = picture(SIZE)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric=photometric, rowsperstrip=40, metadata=None, **AT)
    with open_slide(tmp_path / "a.tif") as slide:
        expected = grey if photometric == "minisblack" else 255 - grey
        assert (slide.read(9, 8, 100, 90, 0.5) == expected[9:109, 8:98, None]).all()


def test_one_strip_as_high_as_a_large_slide_is_read_by_rows(tmp_path):
    """300 MB that nobody decodes whole; the file has a hole, so that it takes no room."""
    path = tmp_path / "a.tif"
    size, end = (10_000, 10_000), picture((50, 60))
    page = tifffile.memmap(path, shape=(*size, 3), dtype=np.uint8, photometric="rgb", metadata=None, **AT)
    page[-50:, -60:] = end
    page.flush()
    del page
    with open_slide(path) as slide:
        assert slide.size == size
        assert (slide.read(9_950, 9_940, 50, 60, 0.5) == end).all()
        assert not slide.read(0, 0, 50, 60, 0.5).any()


def test_compressed_strips_that_are_too_large_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    black = np.zeros((10_000, 9_000, 3), np.uint8)
    tifffile.imwrite(path, black, photometric="rgb", rowsperstrip=10_000, compression="zlib", metadata=None, **AT)
    with pytest.raises(ValueError, match=r"a\.tif: found strips of 10000 x 9000 px.*save it in tiles of 256 or 512 px"):
        open_slide(path)


@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 16}], ids=["openslide", "tifffile"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_of_either_byte_order(tmp_path, options, order):
    image, levels = picture(SIZE), []
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True, byteorder=order) as file:
        for level in range(3):
            levels.append(image)
            tiles = {"tile": (128, 128), "compression": "zlib"} | options
            density = {"resolution": (20000 / 2**level,) * 2, "resolutionunit": "centimeter"}
            file.write(image, photometric="rgb", subfiletype=int(level > 0), metadata=None, **density, **tiles)
            image = half(image)
    with open_slide(tmp_path / "a.tif") as slide:
        assert isinstance(slide._pixels, TiffPixels if options else OpenSlidePixels)
        assert len(slide.levels) == 3 and slide.mpp == pytest.approx((0.5, 0.5))
        for level, whole in enumerate(levels):
            found = slide.read(11, 13, 100, 90, 0.5 * 2**level)
            assert (found == whole[11:111, 13:103]).all()


@pytest.mark.parametrize("kind", ["openslide", "strips", "ome"])
def test_reads_of_all_pixel_sizes_agree_across_levels(tmp_path, kind):
    """The same place of the slide, from whichever level it comes, is the same tissue."""
    image = picture((768, 640))
    if kind == "ome":
        path = write_ome(tmp_path / "a.ome.tif", image, mpp=(0.5, 0.5))
    else:
        path = write_slide(tmp_path / "a.tif", image, **({} if kind == "openslide" else {"tile": None, "rowsperstrip": 16}))
    used = set()
    with open_slide(path) as slide:
        for mpp in (0.5, 0.7, 0.99, 1.0, 1.5, 1.99, 2.0, 2.5):
            used.add(slide._level_for((mpp, mpp)))
            height, width = slide.grid(mpp)
            found = slide.read(0, 0, height, width, mpp).astype(float)
            # averages over 128 px of level 0
            for top, left in ((128, 128), (384, 256), (512, 384)):
                box = [round(v * 0.5 / mpp) for v in (top, top + 128, left, left + 128)]
                mean = found[box[0] : box[1], box[2] : box[3]].mean((0, 1))
                assert mean == pytest.approx(image[top : top + 128, left : left + 128].mean((0, 1)), abs=2)
    assert used == {0, 1, 2}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: tifffile.imwrite(p, np.zeros((64, 64, 3), np.uint16), photometric="rgb", metadata=None), "samples of 16 bits"),
        (lambda p: tifffile.imwrite(p, np.zeros((64, 64), np.float32), metadata=None), "samples of 32 bits"),
        (lambda p: tifffile.imwrite(p, np.zeros((5, 64, 64), np.uint8), ome=True), "a stack of 5 planes"),
        (lambda p: tifffile.imwrite(p, np.zeros((64, 64, 2), np.uint8), photometric="minisblack", planarconfig="contig",
                                    metadata=None), "2 channels"),
    ],
    ids=["16 bits", "float", "stack", "2 channels"],
)  # fmt: skip
def test_pixels_that_are_no_colours_are_refused(tmp_path, make, said):
    make(tmp_path / "a.ome.tif")
    with pytest.raises(ValueError, match=rf"a\.ome\.tif: found {said}.*expected"):
        open_slide(tmp_path / "a.ome.tif", 0.5)
