"""NIfTI files, ``.nii`` and ``.nii.gz``: the header by nibabel, no more bytes than it says read behind it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .image_header import DEFLATE_RATIO, ImageHeader, Refused, check_data_size, colour_channels

__all__ = ["nifti_header", "nifti_samples"]

_LARGEST_OFFSET = 2**24  # extensions stand between header and pixels


def nifti_header(path: Path, size: int) -> ImageHeader:
    """Header of a NIfTI-1 or NIfTI-2 file of ``size`` bytes.

    Raises:
        Refused: several slices, another number of channels, a header whose pixels are in another file, or
            more pixels than the file can hold.
    """
    from nibabel import Nifti1Header, Nifti2Header

    with _opened(path) as file:
        head = file.read(540)
        packed = isinstance(file, gzip.GzipFile)
    kind = Nifti2Header if head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else Nifti1Header
    header = kind(head[: kind.template_dtype.itemsize], check=False)
    if header["sizeof_hdr"] != kind.template_dtype.itemsize or header["magic"].item()[:3] not in (b"n+1", b"n+2"):
        raise Refused("not the header of a NIfTI file that holds its own pixels")
    rank = int(header["dim"][0])
    if not 2 <= rank <= 7 or header["dim"][1 : rank + 1].min() < 1:
        raise Refused(f"found dimensions {header['dim'].tolist()}, expected width and height")
    sizes = [*header["dim"][1 : rank + 1].tolist(), *[1] * (7 - rank)]
    if max(sizes[2], *sizes[5:]) > 1 or min(sizes[3:5]) > 1:
        raise Refused(
            f"found {' x '.join(map(str, sizes[:rank]))} pixels, a stack of slices; expected one picture "
            "(colours are a type, RGB24, or the fourth or fifth dimension)"
        )
    dtype, channels = header.get_data_dtype(), max(sizes[3:5])  # the fifth by the standard, the fourth as MONAI writes
    if header["bitpix"] != 8 * dtype.itemsize:
        raise Refused(f"damaged: found {header['bitpix']} bits a pixel in its header, of a type of {8 * dtype.itemsize}")
    if dtype.names and channels == 1:  # RGB24, RGBA32
        dtype, channels = dtype[0], len(dtype.names)
    if dtype.kind not in "iuf":
        raise Refused(f"found pixels of type {header.get_data_dtype()}, expected integers or floating-point numbers")
    colours, alpha = colour_channels(channels, "values in the fourth or fifth dimension")
    offset = float(header["vox_offset"]) or kind.single_vox_offset
    claimed = sizes[0] * sizes[1] * channels * dtype.itemsize
    if not kind.template_dtype.itemsize <= offset <= _LARGEST_OFFSET or offset != int(offset):
        raise Refused(f"damaged: its header puts the pixels at byte {offset:g}")
    if packed:
        check_data_size(claimed + int(offset), size, DEFLATE_RATIO)
    else:
        check_data_size(claimed, size - int(offset))
    slope, intercept = header.get_slope_inter()
    return ImageHeader(
        "NIfTI",
        sizes[1],
        sizes[0],
        colours,
        dtype,
        8 * dtype.itemsize,
        alpha,
        scaling=(1.0, 0.0) if slope is None else (slope, intercept),
        detail=(path, int(offset), claimed, max(sizes[3:5]) > 1),
    )


def nifti_samples(header: ImageHeader) -> np.ndarray:
    """Samples as stored, rows first: ``(H, W)`` or ``(H, W, channels)`` of the header's type.

    Raises:
        Refused: more or fewer bytes than the header says.
    """
    path, offset, size, planes = header.detail
    with _opened(path) as file:
        found = file.read(offset + size + 1)
    check_data_size(size, len(found) - offset)
    samples = np.frombuffer(found, header.dtype, offset=offset)
    channels = header.colours + bool(header.alpha)
    if channels == 1:
        return samples.reshape(header.height, header.width)
    if planes:  # this dimension varies slowest
        return np.moveaxis(samples.reshape(channels, header.height, header.width), 0, 2)
    return samples.reshape(header.height, header.width, channels)


def _opened(path: Path) -> BinaryIO:
    """The file, unpacked if it is packed, whatever its name says."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else open(path, "rb")
