"""PNG, JPEG and BMP, decoded by Pillow; what Pillow reads otherwise than it is stored is mended here.

The files' own classes are used rather than ``Image.open``, whose bound on pixels (and warning well below it) is smaller
than this bundle's and common to the whole process.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from .image_header import DEFLATE_RATIO, JPEG_RATIO, ImageHeader, Refused, check_data_size

__all__ = ["bmp_header", "deep_rgb", "jpeg_header", "pillow_samples", "png_header"]

_FILES = {"PNG": PngImageFile, "JPEG": JpegImageFile, "BMP": BmpImageFile}
_ORIENTATION = 0x0112
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL")
_U1, _U2 = np.dtype(np.uint8), np.dtype(np.uint16)
# colour type of a PNG: colours and alpha
_PNG_COLOURS = {0: (1, ""), 2: (3, ""), 3: (1, ""), 4: (1, "straight"), 6: (3, "straight")}


def png_header(file: BinaryIO, size: int) -> ImageHeader:
    """Header of a PNG file of ``size`` bytes.

    Raises:
        Refused: more than one picture, or more pixels than the file can hold.
    """
    chunks = _png_chunks(file)
    width, height, bits, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    colours, alpha = _PNG_COLOURS[kind]
    if b"acTL" in chunks and (frames := struct.unpack(">I", chunks[b"acTL"][:4])[0]) > 1:
        raise Refused(f"found an animation of {frames} pictures, expected one")
    check_data_size(height * ((width * bits * (colours + bool(alpha)) + 7) // 8), size, DEFLATE_RATIO)
    palette, transparent = None, chunks.get(b"tRNS", b"")
    if kind == 3:
        palette = _palette(chunks[b"PLTE"], "RGB")
        palette[: len(transparent), 3] = np.frombuffer(transparent[: len(palette)], np.uint8)
    file.seek(0)
    with PngImageFile(file) as image:
        if b"eXIf" in chunks:  # which may stand behind the pixels, where Pillow would have to decode them first
            image.info["exif"] = b"Exif\0\0" + chunks[b"eXIf"]
        orientation = _orientation(image)
    return ImageHeader(
        "PNG",
        height,
        width,
        colours,
        _U2 if bits == 16 else _U1,
        bits,
        alpha,
        palette,
        transparent=struct.unpack(f">{colours}H", transparent[: 2 * colours]) if kind in (0, 2) and transparent else (),
        orientation=orientation,
    )


def jpeg_header(file: BinaryIO, size: int) -> ImageHeader:
    """Header of a JPEG file of ``size`` bytes.

    Raises:
        Refused: colours for print, or more pixels than the file can hold.
    """
    with JpegImageFile(file) as image:
        if image.mode not in ("L", "RGB"):
            raise Refused(f"found {image.mode} colours, expected grey or RGB: save it as RGB")
        width, height = image.size
        check_data_size(width * height, size, JPEG_RATIO)
        return ImageHeader("JPEG", height, width, len(image.getbands()), _U1, 8, orientation=_orientation(image), lossy=True)


def bmp_header(file: BinaryIO, size: int) -> ImageHeader:
    """Header of a BMP file of ``size`` bytes.

    Raises:
        Refused: a kind that Pillow does not decode as it is stored, or more pixels than the file holds.
    """
    head = file.read(34)
    core = head[14] == 12  # of OS/2: another header
    bits = struct.unpack_from("<H", head, 24 if core else 28)[0]
    compressed = 0 if core else struct.unpack_from("<I", head, 30)[0]
    file.seek(0)
    with BmpImageFile(file) as image:
        width, height = image.size
        grey = {1: "1", 8: "L"}.get(bits)
        if bits <= 8 and image.mode not in ("P", grey):  # it would unpack the samples by the palette's length
            raise Refused(f"found {bits} bits with a grey palette of another length: save it as PNG")
        rows = (width * bits + 31) // 32 * 4 * height
        if compressed in (0, 3) and rows > size - image.tile[0][2]:
            check_data_size(rows, size - image.tile[0][2])
        palette = _palette(bytes(image.palette.palette), image.palette.rawmode) if image.mode == "P" else None
        return ImageHeader(
            "BMP",
            height,
            width,
            3 if bits > 8 else 1,
            _U1,
            bits if bits <= 8 else 8,
            "straight" if image.mode == "RGBA" else "",
            palette,
        )


def pillow_samples(file: BinaryIO, header: ImageHeader) -> np.ndarray:
    """Samples of a PNG, JPEG or BMP file as stored: ``(H, W)`` or ``(H, W, channels)`` of the header's type.

    Raises:
        Refused: a PNG's checksums do not fit, which Pillow does not look at.
    """

    def opened() -> ImageFile:
        file.seek(0)
        return _FILES[header.format](file)

    if header.format == "PNG":
        _check_pixels(file)
    if header.dtype == _U2 and header.colours == 3:
        return deep_rgb(opened, "big")
    with opened() as image:
        image.load()
        samples = np.asarray(image)
    if header.format == "PNG" and header.bits in (2, 4) and header.palette is None:
        return samples // (255 // (2**header.bits - 1))  # Pillow stretches them to 0..255
    return samples.astype(header.dtype, copy=False)


def deep_rgb(opened: Callable[[], ImageFile], order: str) -> np.ndarray:
    """RGB of 16 bits, of which Pillow keeps but one byte: its raw mode says which, so decode once for each.

    Args:
        opened: opens the file anew, by one of Pillow's classes.
        order: of the bytes in what the decoder unpacks, ``"big"`` or ``"little"``.

    Returns:
        ``(H, W, 3)`` uint16.
    """
    halves = []
    for end in "BL" if order == "big" else "LB":
        with opened() as image:
            (tile,) = image.tile
            args = tile[3]
            rawmode = f"RGB;16{end}"
            image.tile = [tile._replace(args=(rawmode, *args[1:]) if isinstance(args, tuple) else rawmode)]
            image.load()
            halves.append(np.asarray(image))
    return (halves[0].astype(np.uint16) << 8) | halves[1]


def _png_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """The chunks that say how the pixels are to be taken, wherever they stand."""
    chunks: dict[bytes, bytes] = {}
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PNG_CHUNKS and length < 2**20:
            data = file.read(length)
            _check_sum(kind, zlib.crc32(kind + data), file.read(4))
            chunks.setdefault(kind, data)
        else:
            file.seek(length + 4, 1)
    return chunks


def _check_pixels(file: BinaryIO) -> None:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            found = zlib.crc32(file.read(length), zlib.crc32(kind))
            _check_sum(kind, found, file.read(4))
        else:
            file.seek(length + 4, 1)


def _check_sum(kind: bytes, found: int, stored: bytes) -> None:
    if stored != struct.pack(">I", found):
        raise Refused(f"truncated or damaged: the checksum of its part {kind.decode()} does not fit")


def _palette(data: bytes, order: str) -> np.ndarray:
    colours = np.frombuffer(data[: len(data) // len(order) * len(order)], np.uint8).reshape(-1, len(order))
    opaque = np.full(len(colours), 255, np.uint8)
    return np.column_stack([*(colours[:, order.index(channel)] for channel in "RGB"), opaque])


def _orientation(image: Image.Image) -> int:
    try:
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))  # which Pillow's files have passed over if it is damaged
        value = exif.get(_ORIENTATION) or Image.Image.getexif(image).get(_ORIENTATION, 1)  # or in what else holds it
    except Exception as error:  # its parser raises everything
        raise Refused(f"damaged: its EXIF data, which say how it is turned, cannot be read ({error})") from error
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
