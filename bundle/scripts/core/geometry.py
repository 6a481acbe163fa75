"""Where an image lies and how large its pixels are, from its file's header; nothing is decoded."""

from __future__ import annotations

import html
import math
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from .images import image_header, suffix
from .paths import shown
from .ranges import MPP, Number

__all__ = ["MICROMETRES", "Geometry", "as_mpp", "itk_name", "ome_size", "read_geometry", "shown_mpp"]

_PILLOW = {"PNG": PngImageFile, "JPEG": JpegImageFile, "BMP": BmpImageFile}
# A number of dots per inch is rarely a pixel size: 72 and 96 are screens', 300 to 2,400 printers' and scanners' (85 to 10.6
# µm). What is finer was written by a microscope's program.
_DENSITY = Number(MPP.low, 10, unit=MPP.unit)
MICROMETRES = {
    "nm": 1e-3, "um": 1, "µm": 1, "μm": 1, "micron": 1, "microns": 1, "micrometer": 1, "micrometre": 1, "mm": 1e3,
    "millimeter": 1e3, "millimetre": 1e3, "cm": 1e4, "m": 1e6, "meter": 1e6, "metre": 1e6, "inch": 25400,
}  # fmt: skip
_HEADER_BYTES = 2**16
_TEXT = 2**20  # characters of a TIFF's description that are searched


@dataclass(frozen=True, eq=False)
class Geometry:
    """Pixel size and place of an image.

    Args:
        mpp: pixel size (y, x) in µm/px; ``None``: unknown.
        affine: ``(3, 3)`` or ``(4, 4)``: from the index (x, y[, z]) of a pixel, and a 1, to its place in mm, in the axes of
            ITK and DICOM (left, posterior, superior). ``None``: the format has no place for it.
        nifti: header of a NIfTI file, whose units and kinds of transformation are kept too.
    """

    mpp: tuple[float, float] | None = None
    affine: np.ndarray | None = None
    nifti: Any = None

    def grid(self) -> np.ndarray:
        """``affine``; where there is none, by convention the one of pixels of this size, whose first one is the origin.

        A pixel of unknown size is 1 mm wide there, which :func:`read_geometry` does not believe.
        """
        if self.affine is not None:
            return self.affine
        y, x = self.mpp or (1000.0, 1000.0)
        return np.diag([x / 1000, y / 1000, 1.0])


def as_mpp(value: Any, where: str) -> tuple[float, float]:
    """A pixel size as (y, x) in µm/px.

    Args:
        value: a number of µm/px, or two, y and x.
        where: what it is, for messages.

    Raises:
        ValueError: no such number, or not in 0.01 to 100; the message begins with ``where``.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        y, x = MPP.check_all(value, f"{where}, µm/px of y and x", 2)
        return float(y), float(x)
    number = float(MPP.check(value, where))
    return number, number


def shown_mpp(mpp: tuple[float, float]) -> str:
    """A pixel size for messages: one number where pixels are square."""
    y, x = (f"{v:.4g}" for v in mpp)
    return f"{y} µm/px" if y == x else f"{y} x {x} µm/px (y, x)"


def read_geometry(path: str | Path) -> Geometry:
    """Pixel size and place of an image, as far as its file states them.

    Spacings of NIfTI, NRRD and MetaImage are mm unless the file names another unit. TIFF: OME-XML, ImageJ's unit, Aperio's
    ``MPP``, else the resolution in px per cm or inch; PNG, JPEG, BMP: the density. A stated size is believed from 0.01 to
    100 µm/px (so that a spacing of 0 or 1 mm, which nobody has set, is not), a resolution or density up to 10 µm/px.

    Args:
        path: an image file. One that cannot be read states nothing: who reads its pixels says what is wrong.
    """
    try:
        header = image_header(path)
        if header.format == "NIfTI":
            return _nifti(path)
        if header.format in ("NRRD", "MetaImage"):
            affine, unit = _itk(path)
            return Geometry(_of_spacing(affine, _nrrd_unit(path) if header.format == "NRRD" else unit), affine)
        found = _tiff(path) if header.format == "TIFF" else Geometry(_pillow(path, header.format))
        if header.orientation > 1:  # what is stated is of the picture as stored, which is read upright
            return Geometry(found.mpp[::-1] if found.mpp and header.orientation >= 5 else found.mpp)
        return found
    except Exception:  # parsers of metadata raise everything on damaged files
        return Geometry()


def _believed(y: float, x: float, limits: Number = MPP) -> tuple[float, float] | None:
    # headers hold no more digits than single precision has
    y, x = (float(f"{v:.6g}") for v in (y, x))
    return (y, x) if y in limits and x in limits else None


def _of_spacing(affine: np.ndarray, unit: str = "mm") -> tuple[float, float] | None:
    x, y = (float(np.linalg.norm(affine[:-1, axis])) * MICROMETRES.get(unit, 1e3) for axis in (0, 1))
    return _believed(y, x)


def _pillow(path: str | Path, kind: str) -> tuple[float, float] | None:
    with open(path, "rb") as file, _PILLOW[kind](file) as image:  # Image.open has a bound on pixels of its own
        x, y = image.info.get("dpi", (0, 0))
        return _believed(25400 / y, 25400 / x, _DENSITY) if x and y else None


@contextmanager
def itk_name(path: str | Path) -> Iterator[str]:
    """A name of a file that ITK takes, which it does not if it is not UTF-8: its own, or one that links to it."""
    with tempfile.TemporaryDirectory() as folder:
        name = str(path)
        if shown(name) != name:
            name = os.path.join(folder, f"x{suffix(path)}")
            os.symlink(os.path.abspath(path), name)
        yield name


def _itk(path: str | Path) -> tuple[np.ndarray, str]:
    """Affine as ITK sees it, of two or three dimensions, and the name of its unit."""
    import itk

    with itk_name(path) as name:
        header = itk.ImageIOFactory.CreateImageIO(name, itk.CommonEnums.IOFileMode_ReadMode)
        header.SetFileName(name)
        header.ReadImageInformation()
    count = min(3, header.GetNumberOfDimensions())
    affine = np.eye(count + 1)
    for axis in range(count):
        affine[:count, axis] = np.array(header.GetDirection(axis)[:count]) * header.GetSpacing(axis)
        affine[axis, count] = header.GetOrigin(axis)
    known = header.GetMetaDataDictionary()
    return _checked(affine), str(known["ITK_VoxelUnits"]) if known.HasKey("ITK_VoxelUnits") else "mm"


def _checked(affine: np.ndarray) -> np.ndarray:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-30:
        raise ValueError("not a place")
    return affine


def _nrrd_unit(path: str | Path) -> str:
    """ITK leaves the units of a NRRD file out."""
    with open(path, "rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(_HEADER_BYTES))[0].decode("utf-8", "replace")
    found = re.search(r'^(?:space )?units:\s*"?([^"\s]+)', header, flags=re.M)
    return found[1] if found else "mm"


def _nifti(path: str | Path) -> Geometry:
    import nibabel

    image = nibabel.load(path)
    header = image.header
    if header["sform_code"] or header["qform_code"]:
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    else:  # as ITK: nibabel would mirror such an image, and put the origin in its middle
        affine = np.diag([*header["pixdim"][1:4].astype(float), 1.0])
    affine[:3] *= MICROMETRES.get(str(header.get_xyzt_units()[0]), 1e3) / 1e3
    if header["dim"][0] == 2:
        plane = affine[np.ix_([0, 1, 3], [0, 1, 3])]
        affine = plane if np.linalg.det(plane) else affine
    return Geometry(_of_spacing(affine), _checked(affine), header)


def _tiff(path: str | Path) -> Geometry:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        text = (page.description or "")[:_TEXT]
        tags = [page.tags.get(name) for name in ("YResolution", "XResolution", "ResolutionUnit")]
        pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
        y, x = (_fraction(tag.value) if tag else math.nan for tag in tags[:2])  # px per unit
        if pixels and "PhysicalSizeX" in pixels[0]:
            return Geometry(_believed(*(ome_size(html.unescape(pixels[0]), axis) for axis in "YX")))
        if found := re.search(r"\bMPP\s*=\s*([\d.]+)", text):
            return Geometry(_believed(float(found[1]), float(found[1])))
        if text.startswith("ImageJ="):
            named = re.search(r"^unit=(.*)$", text, flags=re.M)
            unit = named[1].strip().replace("\\u00B5", "µ") if named else ""
            return Geometry(_believed(MICROMETRES[unit] / y, MICROMETRES[unit] / x) if unit in MICROMETRES else None)
        unit = {2: "inch", 3: "cm"}.get(int(tags[2].value) if tags[2] else 2)
        if unit is None:
            return Geometry()
        y, x = MICROMETRES[unit] / y, MICROMETRES[unit] / x
        mpp = _believed(y, x, _DENSITY)
        # programs that take any resolution for the size place the image by it
        stated = mpp is None and all(math.isfinite(v) and v > 0 for v in (y, x))
        return Geometry(mpp, np.diag([x / 1000, y / 1000, 1.0]) if stated else None)


def _fraction(value: Any) -> float:
    above, below = value
    return above / below


def ome_size(element: str, axis: str) -> float:
    size = re.search(rf'\bPhysicalSize{axis}="([^"]*)"', element)
    unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]*)"', element)
    return float(size[1]) * MICROMETRES.get(unit[1] if unit else "µm", math.nan) if size else math.nan
