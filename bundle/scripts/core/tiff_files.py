"""TIFF: what a file holds by tifffile, which also reads what is not compressed, of any type; the codecs are Pillow's.

Neither says loudly what it cannot do, so what a page is gets looked at first, and what none decodes as it is stored is
refused.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .image_header import DEFLATE_RATIO, JPEG_RATIO, ImageHeader, Refused, check_data_size
from .pillow_files import deep_rgb

__all__ = ["tiff_header", "tiff_samples"]

_NONE, _LZW, _JPEG, _PACKBITS, _DEFLATE = 1, 5, 7, 32773, (8, 32946)
#: Codecs that keep every value: none, CCITT, LZW, Deflate, PackBits, LZMA, Zstandard.
_LOSSLESS = (_NONE, 2, 3, 4, _LZW, *_DEFLATE, 32771, _PACKBITS, 34925, 50000)
# most bytes that one compressed byte can stand for
_RATIOS = {_LZW: 4096, _JPEG: 3 * JPEG_RATIO, _PACKBITS: 64, **dict.fromkeys(_DEFLATE, DEFLATE_RATIO)}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
_ALPHA = {1: "premultiplied", 2: "straight"}


def tiff_header(file: BinaryIO, size: int) -> ImageHeader:
    """Header of a TIFF or BigTIFF file of ``size`` bytes.

    Raises:
        Refused: several pages, colours or types or a codec that are not read, or strips and tiles that do not fit.
    """
    with _first_page(file) as page:
        tags = page.tags
        if 262 not in tags:
            raise Refused("found no PhotometricInterpretation, without which its values have no meaning")
        photometric, compression, samples = int(page.photometric), int(page.compression), int(page.samplesperpixel)
        if photometric not in _COLOURS or (photometric == _YCBCR and compression != _JPEG):
            raise Refused(f"found {_name(page.photometric)} colours, expected grey, RGB or a palette: save it as RGB")
        if compression not in (*_LOSSLESS, _JPEG):
            raise Refused(f"found {_name(page.compression)} compression, which is not read: save it with Deflate or none")
        colours, extra = _COLOURS[photometric], tuple(int(v) for v in page.extrasamples)
        if samples not in (colours, colours + 1) or (photometric in (_PALETTE, _YCBCR) and samples != colours):
            raise Refused(f"found {samples} channels, expected grey (1) or RGB (3), with alpha or without")
        if page.dtype is None or page.dtype.kind not in "biuf" or isinstance(page.bitspersample, tuple):
            raise Refused(f"found samples of {page.bitspersample} bits, type {_name(page.sampleformat)}, which are not read")
        bits = int(page.bitspersample)
        if bits not in (1, 2, 4, 8 * page.dtype.itemsize):
            raise Refused(f"found samples packed in {bits} bits, expected 1, 2, 4, 8, 16, 32 or 64")
        if bits < 8 and samples > 1:
            raise Refused(f"found {samples} channels of {bits} bits, expected 8")
        alpha = _ALPHA.get(extra[0] if extra else 0) if samples > colours else ""
        if alpha is None:
            raise Refused(f"found {samples} channels of which one is not named, expected grey (1) or RGB (3): leave it out")
        _check_segments(page, size)
        orientation = int(tags.valueof(274, default=1))
        return ImageHeader(
            "TIFF",
            int(page.imagelength),
            int(page.imagewidth),
            colours,
            np.dtype(np.uint8) if page.dtype.kind == "b" else page.dtype,
            bits,
            alpha,
            _colour_map(page, bits) if photometric == _PALETTE else None,
            white_is_zero=photometric == _WHITE_IS_ZERO,
            orientation=orientation if 1 <= orientation <= 8 else 1,
            lossy=compression == _JPEG,
            detail=(compression, int(page.planarconfig), int(page.predictor)),
        )


def tiff_samples(file: BinaryIO, header: ImageHeader) -> np.ndarray:
    """Samples as stored: ``(H, W)`` or ``(H, W, channels)`` of the header's type; JPEG's YCbCr as RGB.

    Raises:
        Refused: a codec that decodes this type of samples in no library, or damaged data.
    """
    compression, planar, predictor = header.detail
    # tifffile unpacks these with a further package only: few bits to a sample, and the predictor of floating-point numbers
    further = header.bits in (2, 4) or predictor == 3
    if (compression in (_NONE, *_DEFLATE) and not further) or (compression == _PACKBITS and header.dtype != np.uint8):
        with _first_page(file) as page:
            if compression in _DEFLATE:
                _check_inflated(page)
            samples = page.asarray(squeeze=False, maxworkers=1)  # plane, depth, row, column, channel
        samples = np.moveaxis(samples, 0, -1).reshape(header.height, header.width, -1)
        return (samples if samples.shape[2] > 1 else samples[..., 0]).astype(header.dtype, copy=False)
    return _by_pillow(file, header, planar)


class _Codecs(TiffImageFile):
    """Pillow's reader without its own bound on pixels, and without turning the picture: both are done elsewhere."""

    def load_prepare(self) -> None:
        ImageFile.load_prepare(self)

    def load_end(self) -> None:
        pass


def _by_pillow(file: BinaryIO, header: ImageHeader, planar: int) -> np.ndarray:
    def opened() -> _Codecs:
        file.seek(0)
        image = _Codecs(file)
        image._size = (header.width, header.height)  # as stored
        if header.alpha == "premultiplied":  # which Pillow would divide, and round
            (tile,) = image.tile
            image.tile = [tile._replace(args=(tile.args[0].replace("a", "A"), *tile.args[1:]))]
        return image

    channels = header.colours + bool(header.alpha)
    if header.bits > 8 and channels > 1:
        if header.dtype != np.uint16 or channels != 3 or planar == 2:
            raise Refused(f"found {header.content} with a compression that is not read so: save it with Deflate or none")
        return deep_rgb(opened, sys.byteorder)
    with opened() as image:
        image.load()
        samples = np.asarray(image)
        bilevel = image.mode == "1"
    if samples.shape != (header.height, header.width, *([channels] if channels > 1 else [])):
        raise Refused(f"found {header.content} with a compression that is not read so: save it with Deflate or none")
    if header.bits <= 8 and not bilevel and header.palette is None:  # Pillow inverts and stretches to 0..255
        samples = 255 - samples if header.white_is_zero else samples
        samples = samples // (255 // (2**header.bits - 1))
    elif bilevel:
        samples = samples ^ header.white_is_zero
    return samples.astype(header.dtype, copy=False)


@contextmanager
def _first_page(file: BinaryIO) -> Iterator[tifffile.TiffPage]:
    """The page of a file that has one picture, with smaller copies of it or none.

    Raises:
        Refused: more pictures.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters of its findings is raised here
    file.seek(0)
    with tifffile.TiffFile(file, _multifile=False) as tiff:
        page = tiff.pages[0]
        count = 1
        try:
            while (other := tiff.pages[count]) and int(other.subfiletype) & 1:
                count += 1
        except IndexError:
            other = None
        if other is not None:
            raise Refused(f"found {len(tiff.pages)} pages, expected one picture (and smaller copies of it)")
        if int(page.subfiletype) & 1:
            raise Refused("its first page is a smaller copy of a picture that is not read")
        stacks = [int(page.imagedepth), _planes(page)]
        if max(stacks) > 1:
            raise Refused(f"found a stack of {max(stacks)} slices, expected one picture")
        yield page


def _planes(page: tifffile.TiffPage) -> int:
    """Slices behind the first in one page, of which microscopes' programs tell in tags of their own."""
    if 33629 in page.tags:  # MetaMorph
        return int(page.tags[33629].count)
    for description in (str(page.description), str(page.description1)):
        if description.startswith("ImageJ=") and (images := re.search(r"^images=(\d+)", description, flags=re.M)):
            return int(images[1])
        if shape := re.match(r'{"shape": \[([\d, ]+)\]', description):  # tifffile
            return math.prod(int(v) for v in shape[1].split(",")) // page.size
    return 1


def _check_segments(page: tifffile.TiffPage, size: int) -> None:
    """Strips or tiles: as many as the picture needs, each in the file and, if nothing is compressed, of its length.

    Raises:
        Refused: they do not fit.
    """
    width, length = int(page.imagewidth), int(page.imagelength)
    if width < 1 or length < 1:
        raise Refused(f"found {width} x {length} px, expected one or more")
    planes = int(page.samplesperpixel) if int(page.planarconfig) == 2 else 1
    bits = int(page.bitspersample) * (int(page.samplesperpixel) // planes)
    if page.is_tiled:
        wide, high = int(page.tilewidth), int(page.tilelength)
        if wide * high > 4 * width * length + 2**22:
            raise Refused(f"found tiles of {wide} x {high} px in a picture of {width} x {length} px")
    else:
        wide, high = width, int(page.rowsperstrip)
    counts, offsets, down = page.databytecounts, page.dataoffsets, math.ceil(length / high)
    expected = math.ceil(width / wide) * down * planes
    if not len(counts) == len(offsets) == expected:
        raise Refused(f"damaged: found {len(offsets)} strips or tiles, {len(counts)} lengths, expected {expected}")
    rows = [high] * (expected // planes) if page.is_tiled else [*[high] * (down - 1), length - (down - 1) * high]
    row = (wide * bits + 7) // 8
    uncompressed = int(page.compression) == _NONE
    for offset, count, high in zip(offsets, counts, rows * planes, strict=True):
        if offset < 8 or count < 1 or offset + count > size or (uncompressed and count < row * high):
            raise Refused("truncated or damaged: a strip or tile is not in the file, or not whole")
    if int(page.compression) in _RATIOS:
        check_data_size(row * sum(rows) * planes, sum(counts), _RATIOS[int(page.compression)])


def _check_inflated(page: tifffile.TiffPage) -> None:
    """tifffile unpacks a strip or tile whatever its length: see that it is what the header says before.

    Raises:
        Refused: damaged, or more.
    """
    file = page.parent.filehandle
    most = page.tilewidth * page.tilelength if page.is_tiled else page.imagewidth * min(page.rowsperstrip, page.imagelength)
    most *= page.samplesperpixel * page.dtype.itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        stream = zlib.decompressobj()
        stream.decompress(file.read(count), most + 1)
        if not stream.eof:
            raise Refused("damaged: a compressed strip or tile is cut off, or longer than its header says")


def _colour_map(page: tifffile.TiffPage, bits: int) -> np.ndarray:
    """``(n, 4)`` uint8 from 16 bits a colour, or from 8 where a program left the upper ones empty."""
    colours = np.asarray(page.colormap, np.uint16)
    if colours.shape != (3, 2**bits) or bits > 8:
        raise Refused(f"found a palette of {colours.shape[-1]} colours for {bits} bits, expected {2 ** min(bits, 8)}")
    if colours.max() > 255:
        colours = colours >> 8
    return np.column_stack([*colours.astype(np.uint8), np.full(2**bits, 255, np.uint8)])


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))
