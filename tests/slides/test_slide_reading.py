"""Slides read at any pixel size, of any file, against the whole image resampled at once; and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter
from scripts.slides.slide_pixels import UnreadableRegion
from scripts.slides.slide_reading import open_slide

openslide = pytest.importorskip("openslide")

SIZE = (1001, 803)


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((*size, 3)), (3, 3, 0))
    return np.rint((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def half(image: np.ndarray) -> np.ndarray:
    h, w = (n // 2 for n in image.shape[:2])
    return image[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).mean((1, 3)).round().astype(np.uint8)


def write_slide(path, image, levels=3, mpp=0.5, **options):
    """A pyramid of pages that OpenSlide reads, unless it has strips."""
    options = {"tile": (256, 256), "compression": "zlib"} | options
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            size = {"resolution": (1e4 / mpp / 2**level,) * 2, "resolutionunit": "centimeter"} if mpp else {}
            file.write(image, photometric="rgb", subfiletype=int(level > 0), metadata=None, **size, **options)
            image = half(image)
    return path


def resampled(image: np.ndarray, mpp: float, own: float = 0.5) -> np.ndarray:
    """The whole image at ``mpp``, by one filter of floating-point numbers along each axis."""
    for axis in (0, 1):
        length, step = image.shape[axis], mpp / own
        middle = (np.arange(max(1, round(length / step))) + 0.5) * step - 0.5
        away = np.abs(np.arange(-40, length + 40)[None] - middle[:, None]) / max(step, 1)
        weight = np.maximum(0, 1 - away)
        weight /= weight.sum(1, keepdims=True)
        padded = np.pad(image.astype(float), [(40, 40) if a == axis else (0, 0) for a in range(3)], mode="edge")
        image = np.moveaxis(np.tensordot(weight, padded, axes=(1, axis)), 0, axis)
    return image


@pytest.mark.parametrize("mpp", [0.5, 0.8, 1.3, 4.0, 0.3])
@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 16}], ids=["openslide", "tifffile"])
def test_a_read_is_the_whole_image_resampled(tmp_path, options, mpp):
    image = picture()
    with open_slide(write_slide(tmp_path / "a.tif", image, levels=1, **options)) as slide:
        whole = slide.read(0, 0, *slide.grid(mpp), mpp)
        assert whole.shape == (*(round(n * 0.5 / mpp) for n in SIZE), 3)
        assert np.abs(whole - resampled(image, mpp)).max() < 2
        assert np.abs(whole - resampled(image, mpp)).mean() < 0.5


@pytest.mark.parametrize("mpp", [0.5, 0.5004, 0.8, 1.0, 1.7, 2.0, 3.1])
@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 16}], ids=["openslide", "tifffile"])
def test_every_box_sees_the_same_pixels(tmp_path, options, mpp, rng):
    with open_slide(write_slide(tmp_path / "a.tif", picture(), **options)) as slide:
        height, width = slide.grid(mpp)
        whole = slide.read(0, 0, height, width, mpp).astype(int)
        for _ in range(6):
            top, left = rng.integers(0, height - 60), rng.integers(0, width - 60)
            part = slide.read(top, left, 60, 60, mpp)
            assert np.abs(part - whole[top : top + 60, left : left + 60]).max() <= 1


def test_a_large_box_is_read_in_parts(tmp_path, monkeypatch):
    with open_slide(write_slide(tmp_path / "a.tif", picture())) as slide:
        whole = slide.read(0, 0, *slide.grid(0.8), 0.8)
        monkeypatch.setattr("scripts.slides.slide_grid._AT_ONCE", 100**2)
        largest = []
        before = slide._pixels.read_level
        slide._pixels.read_level = lambda *box: largest.append(box[3] * box[4]) or before(*box)
        assert np.abs(slide.read(0, 0, *slide.grid(0.8), 0.8).astype(int) - whole).max() <= 1
        assert len(largest) > 50 and max(largest) < 110**2


def test_the_nearest_finer_level_is_read(tmp_path):
    image = picture((1024, 768))
    with open_slide(write_slide(tmp_path / "a.tif", image)) as slide:
        assert slide.levels == [(1, 1, (1024, 768)), (2, 2, (512, 384)), (4, 4, (256, 192))]
        seen = []
        before = slide._pixels.read_level
        slide._pixels.read_level = lambda *box: seen.append(box[0]) or before(*box)
        for mpp in (0.3, 0.5, 0.99, 1.0, 1.0005, 1.99, 2.0, 8.0):
            slide.read(0, 0, 10, 10, mpp)
        assert seen == [0, 0, 0, 1, 1, 1, 2, 2]
        # a level that matches is not resampled
        assert (slide.read(0, 0, 512, 384, 1.0) == half(image)).all()
        assert (slide.read(100, 90, 50, 60, 2.0) == half(half(image))[100:150, 90:150]).all()


def test_levels_of_odd_sizes_lie_where_they_were_made(tmp_path):
    """1001 px become 500: 2 times smaller, not 2.002 times."""
    for name, options in {"a.tif": {}, "b.tif": {"tile": None, "rowsperstrip": 16}}.items():
        image = picture()
        with open_slide(write_slide(tmp_path / name, image, **options)) as slide:
            assert [level[:2] for level in slide.levels] == [(1, 1), (2, 2), (4, 4)]
            end = slide.read(480, 380, 20, 20, 1.0)
            assert np.abs(end - half(image)[480:500, 380:400].astype(int)).mean() < 3


def test_outside_is_white(tmp_path):
    with open_slide(write_slide(tmp_path / "a.tif", np.zeros((300, 200, 3), np.uint8))) as slide:
        for mpp in (0.5, 0.8, 2.0):
            height, width = slide.grid(mpp)
            found = slide.read(-5, -7, height + 11, width + 13, mpp)
            inside = np.zeros(found.shape[:2], bool)
            inside[5 : 5 + height, 7 : 7 + width] = True
            assert (found[~inside] == 255).all() and (found[inside] == 0).all()
        assert (slide.read(5000, 5000, 4, 4, 0.5) == 255).all()


def test_thumbnail(tmp_path):
    image = picture()
    with open_slide(write_slide(tmp_path / "a.tif", image)) as slide:
        small, down = slide.thumbnail(100)
        assert small.shape == (100, 80, 3) and down == pytest.approx((10.01, 10.01))
        assert np.abs(small.mean((0, 1)) - image.mean((0, 1))).max() < 1
        assert slide.thumbnail(10_000)[0].shape == (*SIZE, 3)


class Bounded(openslide.OpenSlide):
    """A slide of which a part was scanned, as MRXS and BIF have it, with a gap."""

    @property
    def properties(self):
        return dict(super().properties) | {f"openslide.bounds-{k}": v for k, v in BOUNDS.items()}

    def read_region(self, location, level, size):
        region = super().read_region(location, level, size)
        down = self.level_downsamples[level]
        y = (np.arange(size[1]) + 0.5) * down + location[1]
        alpha = np.asarray(region).copy()
        alpha[(y > 400) & (y < 440)] = 0  # OpenSlide's nothing: black, transparent
        return Image.fromarray(alpha)


BOUNDS = {"x": "100", "y": "200", "width": "400", "height": "600"}


def test_bounds_and_gaps(tmp_path, monkeypatch):
    image = picture()
    path = write_slide(tmp_path / "a.tif", image)
    monkeypatch.setattr(openslide, "OpenSlide", Bounded)
    with open_slide(path) as slide:
        assert slide.size == SIZE and slide.bounds == (200, 100, 600, 400) and slide.grid(1.0) == (300, 200)
        assert (slide.read(0, 0, 100, 100, 0.5) == image[200:300, 100:200]).all()
        assert (slide.read(205, 0, 30, 400, 0.5) == 255).all()  # the gap
        assert slide.to_level0(10, 20, 1.0) == (220, 140)
        assert slide.to_level0(10, 20, 1.0, of_bounds=True) == (20, 40)
        assert (slide.read(0, 200, 300, 5, 1.0) == 255).all()  # scanned elsewhere, not here


def test_the_pixel_size_is_the_users_or_the_files(tmp_path):
    path = write_slide(tmp_path / "a.tif", picture((300, 300)), mpp=0.25)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.25, 0.25), rel=1e-5) and slide.mpp_from == "TIFF resolution"
    with open_slide(path, (0.4, 0.5)) as slide:
        assert slide.mpp == (0.4, 0.5) and slide.mpp_from == "given" and slide.grid(1.0) == (120, 150)
    for given in (0.01, 21, float("nan"), -1, "0.5"):
        with pytest.raises(ValueError, match=r"a\.tif"):
            open_slide(path, given)


@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 16}], ids=["openslide", "tifffile"])
def test_a_pixel_size_that_is_absent_or_absurd_is_asked_for(tmp_path, options):
    absent = write_slide(tmp_path / "a.tif", picture((300, 300)), mpp=None, **options)
    with pytest.raises(ValueError, match=r"a\.tif: does not say its µm/px.*column mpp of the CSV, or by --mpp"):
        open_slide(absent)
    screen = write_slide(
        tmp_path / "b.tif", picture((300, 300)), mpp=None, resolution=(72, 72), resolutionunit="inch", **options
    )
    with pytest.raises(ValueError, match=r"352\.8 µm/px, 72 px per inch.*--mpp"):
        open_slide(screen)
    with open_slide(screen, 0.5) as slide:
        assert slide.mpp == (0.5, 0.5)


def test_files_that_are_no_slides(tmp_path):
    text = tmp_path / "notes.svs"
    text.write_text("not a slide")
    Image.new("RGB", (30, 30)).save(tmp_path / "image.png")
    (tmp_path / "empty.tif").touch()
    for name in ("notes.svs", "image.png"):
        with pytest.raises(ValueError, match=rf"{name}: is not a slide"):
            open_slide(tmp_path / name)
    with pytest.raises(ValueError, match="is empty"):
        open_slide(tmp_path / "empty.tif")
    with pytest.raises(ValueError, match="is a folder"):
        open_slide(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.svs"):
        open_slide(tmp_path / "none.svs")


@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 16}], ids=["openslide", "tifffile"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9, 0.999])
def test_a_slide_cut_short(tmp_path, share, options):
    path = write_slide(tmp_path / "a.tif", picture(), **options)
    data = path.read_bytes()
    path.write_bytes(data[: max(9, int(len(data) * share))])
    with pytest.raises(ValueError, match=r"a\.tif: truncated"):
        open_slide(path)


@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 128}], ids=["openslide", "tifffile"])
def test_a_damaged_tile_is_named_and_the_rest_is_read(tmp_path, options):
    image = picture((1024, 1024))
    path = write_slide(tmp_path / "a.tif", image, levels=1, **options)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        at = 5  # the tile of rows and columns 256 to 511, or the strip of rows 640 to 767
        offset, count = page.dataoffsets[at], page.databytecounts[at]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * count)
    first, last = (256, 512) if not options else (640, 768)
    with open_slide(path) as slide:
        for _ in range(2):
            with pytest.raises(UnreadableRegion, match=r"a\.tif: .* of level 0 cannot be read") as error:
                slide.read(first, 300, 10, 10, 0.5)
            top, left, height, width = error.value.box
            assert top < last and top + height > first and error.value.slide == path
            assert (slide.read(0, 0, 200, 200, 0.5) == image[:200, :200]).all()
        lost = []
        found = slide.read(0, 0, 1024, 1024, 0.5, lost)
        white = np.zeros((1024, 1024), bool)
        for top, left, height, width in lost:
            white[top : top + height, left : left + width] = True
        truth = np.zeros_like(white)
        truth[(slice(256, 512), slice(256, 512)) if not options else slice(640, 768)] = True
        assert (white == truth).all()
        assert (found[white] == 255).all() and (found[~white] == image[~white]).all()
