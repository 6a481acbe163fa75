from __future__ import annotations

import itertools
import os

import itk
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.geometry import Geometry, as_mpp, read_geometry, shown_mpp
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_mask

FACTS = DatasetFacts(classes=("a", "b", "c"))
SHAPE = (7, 11)  # H, W
RGB = np.zeros((*SHAPE, 3), np.uint8)
CORNERS = list(itertools.product((0, 10), (0, 6)))  # x, y
ANGLE = 0.3
TURNED = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])


def _itk(path, spacing, origin=None, direction=None, size=2):
    shape = (1,) * (size - 2) + SHAPE
    image = itk.image_from_array(np.zeros(shape, np.uint8))
    image.SetSpacing(spacing)
    image.SetOrigin(origin or [0.0] * size)
    if direction is not None:
        image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(direction[:size, :size])))
    itk.imwrite(image, str(path))


def _nifti(path, affine, unit="mm", shape=(11, 7, 1)):
    image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)


def _tiff(path, **how):
    tifffile.imwrite(path, RGB, photometric="rgb", **how)


def _ome(path, unit, size):
    _tiff(path, ome=True, metadata={"PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "PhysicalSizeY": size,
                                    "PhysicalSizeYUnit": unit})  # fmt: skip


def _pil(path, dpi):
    Image.fromarray(RGB).save(path, dpi=dpi)


def _nrrd_of_micrometres(path):
    _itk(path, [0.5, 0.25])
    path.write_bytes(path.read_bytes().replace(b"kinds:", b'space units: "um" "um"\nkinds:'))


def _mha_of_micrometres(path):
    _itk(path, [0.5, 0.25])
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing", b"DistanceUnits = um\nElementSpacing"))


def _turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(path, dpi=(25400, 50800), exif=exif)


STATED = {
    "nrrd": ("x.nrrd", lambda p: _itk(p, [0.0005, 0.00025]), (0.25, 0.5)),
    "nrrd, turned": ("x.nrrd", lambda p: _itk(p, [0.0005, 0.00025, 1], [1, 2, 3], TURNED, 3), (0.25, 0.5)),
    "nrrd, µm": ("x.nrrd", _nrrd_of_micrometres, (0.25, 0.5)),
    "mha": ("x.mha", lambda p: _itk(p, [0.0005, 0.0005]), (0.5, 0.5)),
    "mha, µm": ("x.mha", _mha_of_micrometres, (0.25, 0.5)),
    "mhd": ("x.mhd", lambda p: _itk(p, [0.002, 0.002]), (2.0, 2.0)),
    "nifti": ("x.nii.gz", lambda p: _nifti(p, np.diag([0.0005, 0.00025, 1, 1])), (0.25, 0.5)),
    "nifti, no unit": ("x.nii", lambda p: _nifti(p, np.diag([0.0005, 0.00025, 1, 1]), "unknown"), (0.25, 0.5)),
    "nifti, µm": ("x.nii", lambda p: _nifti(p, np.diag([0.5, 0.25, 1, 1]), "micron"), (0.25, 0.5)),
    "nifti, sheared": ("x.nii", lambda p: _nifti(p, np.array([[5e-4, 1e-4, 0, 0], [0, 5e-4, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
                       (0.50990195, 0.5)),
    "tiff, cm": ("x.tif", lambda p: _tiff(p, resolution=(20000, 40000), resolutionunit="CENTIMETER"), (0.25, 0.5)),
    "tiff, inch": ("x.tif", lambda p: _tiff(p, resolution=(50800, 50800), resolutionunit="INCH"), (0.5, 0.5)),
    "tiff, OME": ("x.ome.tif", lambda p: _ome(p, "µm", 0.5), (0.5, 0.5)),
    "tiff, OME in nm": ("x.ome.tif", lambda p: _ome(p, "nm", 250), (0.25, 0.25)),
    "tiff, ImageJ": ("x.tif", lambda p: _tiff(p, imagej=True, resolution=(2, 2), metadata={"unit": "um"}), (0.5, 0.5)),
    "tiff, Aperio": ("x.tif", lambda p: _tiff(p, description="Aperio Image|AppMag = 20|MPP = 0.4990|x = 1"), (0.499, 0.499)),
    "png": ("x.png", lambda p: _pil(p, (50800, 101600)), (0.25, 0.5)),
    "jpeg": ("x.jpg", lambda p: _pil(p, (50800, 50800)), (0.5, 0.5)),
    "jpeg that is turned": ("x.jpg", _turned, (1.0, 0.5)),
    "tiff that is turned": ("x.tif", lambda p: _tiff(p, resolution=(20000, 40000), resolutionunit="CENTIMETER",
                                                     extratags=[(274, 3, 1, 6, True)]), (0.5, 0.25)),
    "bmp": ("x.bmp", lambda p: _pil(p, (50800, 50800)), (0.5, 0.5)),
}  # fmt: skip


@pytest.mark.parametrize("case", STATED)
def test_stated_pixel_sizes(tmp_path, case):
    name, write, expected = STATED[case]
    write(tmp_path / name)
    assert read_geometry(tmp_path / name).mpp == pytest.approx(expected, rel=1e-3)


UNSTATED = {
    "png": ("x.png", lambda p: Image.fromarray(RGB).save(p)),
    "png of a screen": ("x.png", lambda p: _pil(p, (96, 96))),
    "jpeg of a printer": ("x.jpg", lambda p: _pil(p, (300, 300))),
    "jpeg of a scanner": ("x.jpg", lambda p: _pil(p, (2400, 2400))),
    "tiff": ("x.tif", _tiff),
    "tiff of a screen": ("x.tif", lambda p: _tiff(p, resolution=(72, 72), resolutionunit="INCH")),
    "tiff without unit": ("x.tif", lambda p: _tiff(p, resolution=(20000, 20000), resolutionunit="NONE")),
    "tiff in pixels": ("x.tif", lambda p: _tiff(p, imagej=True, resolution=(2, 2), metadata={"unit": "pixel"})),
    "tiff of no size": ("x.ome.tif", lambda p: _ome(p, "µm", 0)),
    "nrrd": ("x.nrrd", lambda p: _itk(p, [1.0, 1.0])),
    "mha of radiology": ("x.mha", lambda p: _itk(p, [0.7, 0.7])),
    "nifti": ("x.nii", lambda p: _nifti(p, np.eye(4))),
    "nifti in metres": ("x.nii", lambda p: _nifti(p, np.eye(4), "meter")),
    "damaged": ("x.tif", lambda p: p.write_bytes(b"II*\0nothing")),
    "absent": ("x.nrrd", lambda p: None),
}


@pytest.mark.parametrize("case", UNSTATED)
def test_what_states_no_pixel_size_has_none(tmp_path, case):
    name, write = UNSTATED[case]
    write(tmp_path / name)
    assert read_geometry(tmp_path / name).mpp is None


def _place(path, x, y):
    """Place of a pixel in mm: left, posterior, superior, by ITK."""
    image = itk.imread(str(path))
    size = image.GetImageDimension()
    return np.array(image.TransformIndexToPhysicalPoint([x, y, 0][:size]))


def _nifti_place(path, x, y):
    """The same of a NIfTI file, by nibabel."""
    image = nibabel.load(path)
    factor = {"micron": 1e-3, "meter": 1e3}.get(image.header.get_xyzt_units()[0], 1)
    return (np.diag([-1, -1, 1, 1]) @ image.affine @ [x, y, 0, 1])[:3] * factor


MIRRORED = np.array([[0, -0.002, 0, 7], [0.001, 0, 0, -4], [0, 0, 3, 5], [0, 0, 0, 1.0]])
PLACED = {
    "nrrd": ("x.nrrd", lambda p: _itk(p, [0.0005, 0.00025], [3, -4])),
    "nrrd, turned": ("x.nrrd", lambda p: _itk(p, [0.0005, 0.00025, 2], [1, 2, 3], TURNED, 3)),
    "nrrd, turned in its plane": ("x.nrrd", lambda p: _itk(p, [0.5, 0.25], [1, 2], TURNED)),
    "mha": ("x.mha", lambda p: _itk(p, [0.7, 0.7, 5], [-100, 20, 30], size=3)),
    "tiff": ("x.tif", lambda p: _itk(p, [0.5, 0.25])),
    "tiff of a microscope": ("x.tif", lambda p: _itk(p, [0.0005, 0.00025])),
    "nifti": ("x.nii.gz", lambda p: _nifti(p, MIRRORED)),
    "nifti in µm": ("x.nii", lambda p: _nifti(p, MIRRORED * 100, "micron")),
    "nifti of two dimensions": ("x.nii", lambda p: _nifti(p, np.diag([0.5, 0.25, 1, 1]), shape=(11, 7))),
    "nifti without transformation": ("x.nii", lambda p: _nifti(p, None)),
}


@pytest.mark.parametrize("case", PLACED)
@pytest.mark.parametrize("kind", ["nii.gz", "nrrd", "mha"])
def test_a_label_map_lies_on_its_image(tmp_path, case, kind):
    name, write = PLACED[case]
    write(tmp_path / name)
    label_map = tmp_path / f"m.{kind}"
    write_mask(label_map, np.zeros(SHAPE), FACTS, geometry=read_geometry(tmp_path / name))
    for x, y in CORNERS:
        np.testing.assert_allclose(_place(label_map, x, y), _place(tmp_path / name, x, y), atol=1e-5)
    if kind == "nii.gz" and name.startswith("x.nii"):
        one, other = nibabel.load(tmp_path / name), nibabel.load(label_map)
        np.testing.assert_allclose(other.affine, one.affine)
        assert other.header.get_xyzt_units() == one.header.get_xyzt_units() and other.get_data_dtype() == np.uint8


def test_the_label_map_of_colours_in_a_further_dimension_is_one_value_to_others(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((*SHAPE[::-1], 1, 1, 3), np.uint8), np.diag([-0.0005, -0.0005, 1, 1]))
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "x.nii")
    write_mask(tmp_path / "m.nii", np.ones(SHAPE), FACTS, geometry=read_geometry(tmp_path / "x.nii"))
    assert nibabel.load(tmp_path / "m.nii").header.get_intent()[0] == "none"
    found = itk.array_from_image(itk.imread(str(tmp_path / "m.nii")))
    assert found.dtype == np.uint8 and np.array_equal(found, np.ones((1, *SHAPE)))


@pytest.mark.parametrize("kind", ["png", "nii.gz", "nii", "nrrd", "mha"])
def test_a_folder_whose_name_is_no_text_takes_label_maps_in_every_format(tmp_path, kind):
    path = tmp_path / os.fsdecode(b"out\xe9") / f"m.{kind}"
    write_mask(path, np.ones(SHAPE), FACTS, geometry=Geometry((0.25, 0.5)))
    assert np.array_equal(read_mask(path), np.ones(SHAPE)) and not path.is_symlink()
    assert read_geometry(path).mpp == pytest.approx((0.25, 0.5), rel=1e-5)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mpp", [None, (0.25, 0.5)])
def test_without_a_place_the_formats_agree(tmp_path, mpp):
    for name in ("m.nii.gz", "m.nrrd", "m.mha"):
        write_mask(tmp_path / name, np.zeros(SHAPE), FACTS, geometry=Geometry(mpp))
    y, x = mpp or (1000, 1000)
    for corner in CORNERS:
        expected = np.array([corner[0] * x, corner[1] * y]) / 1000
        np.testing.assert_allclose(_nifti_place(tmp_path / "m.nii.gz", *corner), [*expected, 0], atol=1e-6)
        for name in ("m.nii.gz", "m.nrrd", "m.mha"):
            np.testing.assert_allclose(_place(tmp_path / name, *corner), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["m.png", "m.nii.gz", "m.nii", "m.nrrd", "m.mha"])
def test_label_maps_state_the_pixel_size(tmp_path, name):
    write_mask(tmp_path / name, np.zeros(SHAPE), FACTS, geometry=Geometry((0.25, 0.5)))
    assert read_geometry(tmp_path / name).mpp == pytest.approx((0.25, 0.5), rel=1e-5)
    write_mask(tmp_path / name, np.zeros(SHAPE), FACTS, geometry=Geometry())
    assert read_geometry(tmp_path / name).mpp is None


def test_images_state_the_pixel_size_that_they_are_given(tmp_path):
    write_image(tmp_path / "x.png", RGB, (0.25, 0.5))
    assert read_geometry(tmp_path / "x.png").mpp == pytest.approx((0.25, 0.5), rel=1e-5)


def test_pixel_sizes_of_people():
    assert as_mpp(0.5, "mpp") == (0.5, 0.5) and as_mpp([0.25, 2], "mpp") == (0.25, 2.0)
    assert shown_mpp((0.5, 0.5)) == "0.5 µm/px" and shown_mpp((0.25, 0.5)) == "0.25 x 0.5 µm/px (y, x)"
    for value in (0, -1, 0.001, 1000, True, "0.5", float("nan"), [0.5], [0.5, 0], [0.5, 0.5, 0.5]):
        with pytest.raises(ValueError, match=r"^mpp.*0\.01 to 100"):
            as_mpp(value, "mpp")


@pytest.mark.parametrize("case", STATED)
def test_damaged_headers_state_nothing_absurd(tmp_path, case, rng):
    name, write, _ = STATED[case]
    path = tmp_path / name
    write(path)
    whole = path.read_bytes()
    for _ in range(10):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, min(len(content), 600), 3)
        content[places] = rng.integers(0, 256, 3)
        path.write_bytes(content.tobytes()[: rng.integers(1, 2 * len(content))])
        found = read_geometry(path)
        assert found.mpp is None or all(0.01 <= v <= 100 for v in found.mpp)
        assert np.isfinite(found.grid()).all() and np.linalg.det(found.grid()) != 0
        write_mask(tmp_path / "m.nrrd", np.zeros(SHAPE), FACTS, geometry=found)
        write_mask(tmp_path / "m.nii.gz", np.zeros(SHAPE), FACTS, geometry=found)
