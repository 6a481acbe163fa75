from __future__ import annotations

from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import tifffile
from made_images import IMAGES, Case, params
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import check_value_range, image_mode, image_size, read_image, read_mask

SHARED = Path(__file__).resolve().parents[3] / "shared"
FACTS = DatasetFacts(classes=("a", "b", "c"), palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)), mpp=0.5)


@pytest.fixture
def shared():
    if not (SHARED / "cases").is_dir():
        pytest.skip("the small inputs are not at hand")
    return SHARED / "cases"


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


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.nrrd", "x.nii.gz"])
def test_mode_from_the_header(tmp_path, rgb, mask, name):
    if name == "x.nii.gz":
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 1, 1, 3), np.uint8), np.eye(4)), tmp_path / name)
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


@pytest.mark.parametrize("case", params(IMAGES))
def test_what_is_read_is_right_and_nothing_else_is_read(tmp_path, case: Case):
    path = tmp_path / case.name
    case.write(path)
    if case.expected is not None and case.value_range is None:
        found = read_image(path)
        np.testing.assert_array_equal(found, case.expected)
        np.testing.assert_array_equal(read_image(path, value_range=(-5, 9)), found)  # 8 bits stay as they are
    else:
        with pytest.raises(ValueError, match=case.name) as refused:
            read_image(path)
        assert str(refused.value).startswith(f"{path}: found") or "says that" in str(refused.value)
    if case.value_range is not None:
        assert "expected 8 bits per channel" in str(refused.value) and "value_range: [low, high]" in str(refused.value)
        found = read_image(path, value_range=case.value_range)
        np.testing.assert_array_equal(found, case.expected)
    elif case.expected is None:
        with pytest.raises(ValueError, match=case.name):
            read_image(path, value_range=(0, 1))
    if case.expected is not None:
        assert found.dtype == np.uint8 and found.flags["C_CONTIGUOUS"]
        assert image_size(path) == case.expected.shape[:2]
        if image_mode(path) == "grey":
            assert (case.expected == case.expected[..., :1]).all()


@pytest.mark.parametrize(
    "limits", [(1, 1), (5, 2), (0,), (0, 1, 2), "ab", 7, (0, float("inf")), (float("nan"), 1), (None, 3)]
)
def test_a_range_is_two_numbers(tmp_path, rgb, limits):
    write_image(tmp_path / "x.png", rgb)
    with pytest.raises(ValueError, match=r"value_range: found .* expected \[low, high\]"):
        read_image(tmp_path / "x.png", value_range=limits)
    assert check_value_range([0, 4095]) == (0.0, 4095.0)


def test_scaling_is_linear_rounded_and_clipped(tmp_path):
    values = np.array([[-1000, 99, 100, 101, 150, 199, 200, 201, 32000]], np.int16)
    tifffile.imwrite(tmp_path / "x.tif", values)
    found = read_image(tmp_path / "x.tif", value_range=(100, 200))
    assert found[0, :, 0].tolist() == [0, 0, 0, 3, 128, 252, 255, 255, 255]  # 2.55, 127.5 and 252.45 rounded


def test_the_small_inputs_that_were_read_wrongly(shared):
    """A colour image of 12 bits in 16, a JPEG mask, a mask of 4 bits."""
    truth = read_image(shared / "rgb_8bit_truth.png")
    with pytest.raises(ValueError, match=r"rgb_12bit.*found RGB of 16 bits \(uint16\), expected 8 bits.*value_range"):
        read_image(shared / "rgb_12bit_in_uint16.tif")
    np.testing.assert_array_equal(read_image(shared / "rgb_12bit_in_uint16.tif", value_range=(0, 255 * 16)), truth)
    with pytest.raises(ValueError, match=r"mask_two_classes\.jpg: found .*JPEG.*changes values.*PNG"):
        read_mask(shared / "mask_two_classes.jpg")
    assert np.unique(read_mask(shared / "mask_grey_4bit_values_0_to_3.png", 3)).tolist() == [0, 1, 2, 3]
