from __future__ import annotations

import itk
import nibabel
import numpy as np
import pytest
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import image_mode, image_size, read_image, read_mask

FACTS = DatasetFacts(classes=("a", "b", "c"), palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)), mpp=0.5)


@pytest.fixture
def rgb(rng):
    return rng.integers(0, 256, (7, 11, 3), dtype=np.uint8)


@pytest.fixture
def mask(rng):
    return rng.integers(0, 4, (7, 11), dtype=np.uint8)


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.mha", "x.nrrd"])
def test_one_image_reads_the_same_from_every_format(tmp_path, rgb, name):
    path = tmp_path / name
    if name.endswith((".png", ".bmp", ".tif")):
        Image.fromarray(rgb).save(path)
    else:
        itk.imwrite(itk.image_from_array(rgb, is_vector=True), str(path))
    np.testing.assert_array_equal(read_image(path), rgb)
    assert image_size(path) == (7, 11)


def test_nifti_rgb(tmp_path, rgb):
    path = tmp_path / "x.nii.gz"
    nibabel.save(nibabel.Nifti1Image(rgb.transpose(1, 0, 2), np.eye(4)), path)
    np.testing.assert_array_equal(read_image(path), rgb)


@pytest.mark.parametrize("name", ["m.png", "m.nii.gz", "m.nii", "m.nrrd", "m.mha"])
def test_masks_survive_every_format(tmp_path, mask, name):
    path = tmp_path / name
    write_mask(path, mask, FACTS)
    np.testing.assert_array_equal(read_mask(path, FACTS.num_classes), mask)
    assert image_size(path) == (7, 11)
    assert [p.name for p in tmp_path.iterdir()] == [name]  # nothing half-written beside it


def test_pixel_size_is_kept(tmp_path, mask):
    write_mask(tmp_path / "m.nii.gz", mask, FACTS)
    write_mask(tmp_path / "m.nrrd", mask, FACTS, mpp=2.0)
    assert nibabel.load(tmp_path / "m.nii.gz").header.get_zooms()[:2] == pytest.approx((0.0005, 0.0005))
    assert list(itk.imread(str(tmp_path / "m.nrrd")).GetSpacing()) == pytest.approx([0.002, 0.002])


def test_palette_is_by_value_and_shown_in_colour(tmp_path, mask):
    write_mask(tmp_path / "m.png", mask, FACTS)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        colours = np.asarray(image.convert("RGB"))
    assert (colours[mask == 1] == (0, 255, 0)).all() and (colours[mask == 3] == 255).all()


def test_grey_and_transparent_images_become_rgb(tmp_path, rgb):
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png") == rgb[..., :1]).all()
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), rgb)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["x.png", "x.nrrd", "x.nii.gz"])
def test_truncated(tmp_path, mask, name):
    path = tmp_path / name
    write_mask(path, np.tile(mask, (20, 20)), FACTS)
    _truncate(path)
    with pytest.raises(ValueError, match=name):
        read_mask(path)


def test_refusals_name_file_found_and_expected(tmp_path, rgb, mask):
    write_image(tmp_path / "rgb.png", rgb)
    with pytest.raises(ValueError, match=r"rgb\.png.*RGB.*palette"):
        read_mask(tmp_path / "rgb.png")
    Image.fromarray(mask + 5).save(tmp_path / "high.png")
    with pytest.raises(ValueError, match=r"high\.png.*values \[5.*expected 0 to 3"):
        read_mask(tmp_path / "high.png", 3)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"text\.png"):
        read_image(tmp_path / "text.png")
    (tmp_path / "rgb.xyz").touch()
    with pytest.raises(ValueError, match="suffix"):
        image_size(tmp_path / "rgb.xyz")
    with pytest.raises(ValueError, match="found mask value 4, expected 0 to 3"):
        write_mask(tmp_path / "m.png", np.full((2, 2), 4), FACTS)
    with pytest.raises(ValueError, match="cannot write"):
        write_mask(tmp_path / "m.gif", mask, FACTS)


def test_size_is_bounded_before_decoding(tmp_path, rgb):
    write_image(tmp_path / "x.png", rgb)
    _truncate(tmp_path / "x.png")  # decoding it would fail with another message
    with pytest.raises(ValueError, match="11 x 7 px, more than the 76"):
        read_image(tmp_path / "x.png", max_pixels=76)


def test_failed_write_leaves_the_old_file(tmp_path, mask):
    write_mask(tmp_path / "m.png", mask, FACTS)
    with pytest.raises(ValueError, match="shape"):
        write_mask(tmp_path / "m.png", np.zeros((2, 2, 2)), FACTS)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_palette_tiff_is_read_by_value(tmp_path, mask):
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
    image.save(tmp_path / "m.tif")
    assert (read_mask(tmp_path / "m.tif") == mask).all()


def test_deep_images_are_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((4, 5), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png.*8 bits"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.nrrd", "x.nii.gz"])
def test_mode_from_the_header(tmp_path, rgb, mask, name):
    if name == "x.nii.gz":
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 1, 3), np.uint8), np.eye(4)), tmp_path / name)
    elif name == "x.nrrd":
        itk.imwrite(itk.image_from_array(rgb, is_vector=True), str(tmp_path / name))
    else:
        Image.fromarray(rgb).save(tmp_path / name)
    assert image_mode(tmp_path / name) == "colour"
    grey = tmp_path / f"grey_{name}"
    if name.endswith((".nrrd", ".nii.gz")):
        write_mask(grey, mask, DatasetFacts(classes=tuple("abcdefgh")))
    else:
        Image.fromarray(mask.astype(np.uint8)).save(grey)
    assert image_mode(grey) == "grey"
