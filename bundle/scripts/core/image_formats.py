"""The image formats that are read: which one a file is, by its content, and its header and samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .image_header import ImageHeader, Refused
from .nifti_files import nifti_header, nifti_samples
from .paths import shown
from .pillow_files import bmp_header, jpeg_header, pillow_samples, png_header
from .raw_files import metaimage_header, nrrd_header, raw_samples
from .tiff_files import tiff_header, tiff_samples

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "NIBABEL_SUFFIXES",
    "decoded",
    "image_header",
    "image_mode",
    "image_size",
    "suffix",
    "upright",
]

#: Largest image that is decoded, in px.
MAX_PIXELS = 2**28
#: Most bytes of stored samples that are decoded, per pixel of the largest image.
_BYTES_PER_PIXEL = 16
NIBABEL_SUFFIXES = (".nii", ".nii.gz")
#: Suffixes of files that can be read.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".mha", ".mhd", ".nrrd", ".tif", ".tiff", *NIBABEL_SUFFIXES)
# how files begin: a wrong suffix does not decide what is made of them
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"NRRD000": "NRRD",
}
_STREAMED = {"PNG": png_header, "JPEG": jpeg_header, "BMP": bmp_header, "TIFF": tiff_header}


def suffix(path: str | Path) -> str:
    """Lower-case suffix, ``.nii.gz`` taken as one."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def image_header(path: str | Path) -> ImageHeader:
    """Header of an image file, nothing decoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image that is read; the message names the file, what was found and what is expected.
    """
    path = Path(path)
    if not path.is_file():
        if "\0" not in str(path) and os.path.lexists(path):
            raise ValueError(f"{shown(path)}: found a folder, a device or a link that leads nowhere, expected an image file")
        raise FileNotFoundError(f"{shown(path)}: no such file")
    if suffix(path) not in IMAGE_SUFFIXES:
        raise ValueError(f"{shown(path)}: found suffix {suffix(path)!r}, expected one of {', '.join(IMAGE_SUFFIXES)}")
    with _naming(path, "not a readable image"):
        size = path.stat().st_size
        if not size:
            raise Refused("found an empty file, expected an image")
        with open(path, "rb") as file:
            beginning = file.read(8)
            kind = next((kind for start, kind in _BEGINNINGS.items() if beginning.startswith(start)), None)
            if kind in _STREAMED:
                file.seek(0)
                return _STREAMED[kind](file, size)
        if kind == "NRRD":
            return nrrd_header(path)
        if suffix(path) in NIBABEL_SUFFIXES:
            return nifti_header(path, size)
        if suffix(path) in (".mha", ".mhd"):
            return metaimage_header(path)
        raise Refused(f"found a file that begins with {beginning!r}, expected an image")


def decoded(path: str | Path, max_pixels: int, accept: Callable[[ImageHeader], None]) -> tuple[np.ndarray, ImageHeader]:
    """Samples of an image file as stored, and its header.

    Args:
        path: image file.
        max_pixels: larger images are refused.
        accept: looks at the header before anything is decoded, and raises :class:`Refused` if it does not suit.

    Returns:
        Samples ``(H, W)`` or ``(H, W, channels)`` of the header's type, not turned by its orientation.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, truncated, too large or not accepted; the message names the file.
    """
    header = image_header(path)
    height, width = header.size
    if height * width > max_pixels:
        raise ValueError(f"{shown(path)}: found {width} x {height} px, more than the {max_pixels} px that are decoded")
    with _naming(path, "damaged or truncated image"):
        accept(header)
        channels = header.colours + bool(header.alpha)
        size, most = height * width * channels * header.dtype.itemsize, max_pixels * _BYTES_PER_PIXEL
        if size > most:
            raise Refused(
                f"found {width} x {height} px of {header.content}, {size} bytes, more than the {most} that are decoded"
            )
        if header.format in ("NRRD", "MetaImage"):
            samples = raw_samples(header)
        elif header.format == "NIfTI":
            samples = nifti_samples(header)
        else:
            with open(path, "rb") as file:
                samples = (tiff_samples if header.format == "TIFF" else pillow_samples)(file, header)
        expected = (header.height, header.width, *([channels] if channels > 1 else []))
        if samples.shape != expected:
            raise Refused(f"decoded to shape {samples.shape}, its header says {expected}")
    return samples, header


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns ``(H, W, ...)`` turned and mirrored as an orientation of EXIF and TIFF (1 to 8) says."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in px of the upright image from the header, nothing decoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image that is read (see :func:`image_header`).
    """
    return image_header(path).size


def image_mode(path: str | Path) -> str:
    """``"grey"`` or ``"colour"`` (RGB or a palette), as the file's header says, nothing decoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image that is read (see :func:`image_header`).
    """
    header = image_header(path)
    return "grey" if header.colours == 1 and header.palette is None else "colour"


@contextmanager
def _naming(path: Path, what: str) -> Iterator[None]:
    """Whatever a decoder raises, as one error that names the file: they raise dozens of kinds."""
    try:
        yield
    except Refused as error:
        raise ValueError(f"{shown(path)}: {error}") from error
    except MemoryError as error:
        raise ValueError(f"{shown(path)}: {what} (too large for the memory there is)") from error
    except Exception as error:
        text = str(error).strip()
        raise ValueError(f"{shown(path)}: {what} ({text.splitlines()[0] if text else type(error).__name__})") from error
