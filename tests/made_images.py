"""Image files of every kind that there is a rule for, and what is to be read of them, computed by hand.

``IMAGES`` and ``MASKS`` have a list of cases per kind (a row of the tables in ``docs/reference/formats.md``) and format (a
column): how to write the file, and the values expected, or ``None`` where it is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import itk
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

_RANDOM = np.random.default_rng(20)
RGB = _RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = _RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
ALPHA = _RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
MASK = _RANDOM.integers(0, 4, (5, 7), dtype=np.uint8)
COLOURS = np.array([[200, 0, 10], [0, 180, 20], [7, 9, 250], [255, 255, 254]], np.uint8)
RAW, TIFF, PNG, JPEG, BMP, NIFTI = "MetaImage, NRRD", "TIFF", "PNG", "JPEG", "BMP", "NIfTI"


class Case(NamedTuple):
    """A file ``name`` that ``write(path)`` makes; ``expected`` of it, with ``value_range`` if it needs one."""

    name: str
    write: Callable[[Path], Any]
    expected: np.ndarray | None = None
    value_range: tuple[float, float] | None = None


def params(kinds: Mapping[str, Mapping[str, list[Case]]]) -> list[Any]:
    """Every case of ``IMAGES`` or ``MASKS`` as a parameter of a test, by kind, format and name."""
    return [
        pytest.param(case, id=f"{kind} {form} {case.name}")
        for kind, formats in kinds.items()
        for form, cases in formats.items()
        for case in cases
    ]


def grey3(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, axis=2).astype(np.uint8)


def over_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.floor(colours * share + 255 * (1 - share) + 0.5 - 1e-9).astype(np.uint8)


def packed(samples: np.ndarray, bits: int) -> bytes:
    """Samples of a few bits, each row from a new byte; of 16 bits, the high byte first."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        return rows.astype(">u2").tobytes()
    on = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
    return np.packbits(on.reshape(len(rows), -1), axis=1).tobytes()


def png(
    samples: np.ndarray,
    bits: int,
    kind: int,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
    late: bool = False,
    adam7: bool = False,
) -> Callable[[Path], Any]:
    """A PNG file of any depth and colour type (0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA), written by its standard."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def scanlines(part: np.ndarray) -> bytes:
        return b"".join(b"\0" + packed(row[None], bits) for row in part) if part.size else b""

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b"".join(scanlines(samples[y::dy, x::dx]) for y, x, dy, dx in (passes if adam7 else [(0, 0, 1, 1)]))
    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, kind, 0, 0, int(adam7))
    other = b"".join(chunk(*c) for c in chunks)
    body = chunk(b"IDAT", zlib.compress(data))
    parts = body + other if late else other + body
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + parts + chunk(b"IEND", b""))


def pil(image: np.ndarray, mode: str | None = None, **options: Any) -> Callable[[Path], Any]:
    picture = Image.fromarray(image)
    picture = picture.convert(mode) if mode else picture
    return lambda path: picture.save(path, **options)


def palette(indices: np.ndarray, colours: np.ndarray = COLOURS, **options: Any) -> Callable[[Path], Any]:
    picture = Image.fromarray(indices)
    picture.putpalette(colours.ravel().tolist())
    return lambda path: picture.save(path, **options)


def bmp565(path: Path) -> None:
    """Red, green, and 10 of 31 of blue."""
    row = struct.pack("<HHHH", 31 << 11, 63 << 5, 10, 0)
    head = struct.pack("<IiiHHIIiiII", 40, 3, 1, 1, 16, 3, len(row), 0, 0, 0, 0) + struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    path.write_bytes(b"BM" + struct.pack("<III", 14 + len(head) + len(row), 0, 14 + len(head)) + head + row)


def bmp_rgba(path: Path) -> None:
    """Of 32 bits whose header (version 5) has a mask of alpha."""
    pixels = np.dstack([RGB[::-1, :, ::-1], ALPHA[::-1]]).tobytes()
    head = struct.pack("<IiiHHIIiiII4I", 124, 7, 5, 1, 32, 3, len(pixels), 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = head.ljust(124, b"\0")
    path.write_bytes(b"BM" + struct.pack("<III", 14 + len(head) + len(pixels), 0, 14 + len(head)) + head + pixels)


def turned(array: np.ndarray, orientation: int, **options: Any) -> Callable[[Path], Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return lambda path: Image.fromarray(array).save(path, exif=exif, **options)


def tiff(samples: np.ndarray, **options: Any) -> Callable[[Path], Any]:
    return lambda path: tifffile.imwrite(path, samples, **{"photometric": "minisblack", **options})


def tags_tiff(data: bytes, **tags: int | tuple[int, ...]) -> Callable[[Path], Any]:
    """A TIFF file of one strip, of tags by their number (``t262=1``): what tifffile does not write."""
    entries = {277: 1, 273: 0, 279: len(data), 259: 1, 278: tags["t257"]} | {int(k[1:]): v for k, v in tags.items()}
    start = 8 + 2 + 12 * len(entries) + 4
    table, more = b"", b""
    for code, value in sorted(entries.items()):
        values = value if isinstance(value, tuple) else (value,)
        field = struct.pack(f"<{len(values)}I", *values)
        if len(field) > 4:
            field, more = struct.pack("<I", start + len(more)), more + field
        table += struct.pack("<HHI", code, 4, len(values)) + (field if code != 273 else b"%STR")
    table = table.replace(b"%STR", struct.pack("<I", start + len(more)))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return lambda path: path.write_bytes(head + table + b"\0\0\0\0" + more + data)


def pages(samples: np.ndarray, smaller: bool) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as file:
            file.write(samples, photometric="rgb", metadata=None)
            small = np.ascontiguousarray(samples[::2, ::2])
            file.write(small, photometric="rgb", subfiletype=int(smaller), metadata=None)

    return write


def itk_file(samples: np.ndarray, channels: bool = False, **options: Any) -> Callable[[Path], Any]:
    return lambda path: itk.imwrite(itk.image_from_array(samples, is_vector=channels), str(path), **options)


def nrrd(samples: np.ndarray, **fields: Any) -> Callable[[Path], Any]:
    """An attached NRRD file by its own description: types that ITK does not write."""
    colour = samples.ndim == 3
    sizes = [*samples.shape[2:], samples.shape[1], samples.shape[0]]
    head = {
        "type": {"float32": "float"}.get(samples.dtype.name, samples.dtype.name),
        "dimension": len(sizes),
        "sizes": " ".join(map(str, sizes)),
        "kinds": "vector domain domain" if colour else "domain domain",
        "endian": "big" if samples.dtype.str[0] == ">" else "little",
        "encoding": "raw",
    } | fields
    text = "NRRD0005\n# by hand\n" + "".join(f"{k}: {v}\n" for k, v in head.items() if v is not None) + "key:=a: b\n\n"
    return lambda path: path.write_bytes(text.encode() + samples.tobytes())


def nifti(
    samples: np.ndarray, scaling: tuple[float, float] | None = None, kind: Any = nibabel.Nifti1Image
) -> Callable[[Path], Any]:
    """Rows first in, as everywhere; the file has columns first."""

    def write(path: Path) -> None:
        image = kind(np.swapaxes(samples, 0, 1), np.eye(4), dtype=samples.dtype if samples.dtype.kind in "iu" else None)
        if scaling:
            image.header.set_slope_inter(*scaling)
        nibabel.save(image, path)

    return write


def rgb24(samples: np.ndarray) -> np.ndarray:
    fields = "RGBA"[: samples.shape[2]]
    return np.ascontiguousarray(samples).view([(f, np.uint8) for f in fields])[..., 0]


def _raw(name: str, samples: np.ndarray, *rest: Any) -> list[Case]:
    """Of both formats that hold the samples as they are."""
    channels = samples.ndim == 3
    return [
        Case(f"{name}.mha", itk_file(samples, channels), *rest),
        Case(f"{name}_zlib.mha", itk_file(samples, channels, compression=True), *rest),
        Case(f"{name}.mhd", itk_file(samples, channels), *rest),
        Case(f"{name}.nrrd", itk_file(samples, channels), *rest),
        Case(f"{name}_gzip.nrrd", itk_file(samples, channels, compression=True), *rest),
    ]


def _numbers(dtype: str) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float]]:
    """Makes samples of a type of bytes, and the range that makes bytes of them again, exactly."""
    if "f" in dtype:
        return lambda a: (a * 2.0 - 100).astype(dtype), (-100, 410)
    if dtype == "i1":
        return lambda a: (a // 2 - 64).astype(dtype), (-64, 191)
    factor, offset = {"u1": (1, 0), "u2": (257, 0), "i2": (100, -9000)}.get(
        dtype[-2:], (1000, 0 if "u" in dtype else -77777)
    )
    return lambda a: (a.astype(np.int64) * factor + offset).astype(dtype), (offset, offset + 255 * factor)


def _deep(dtype: str, write: Callable[..., list[Case]], colours: bool = True) -> list[Case]:
    make, limits = _numbers(dtype)
    grey, rgb = (a // 2 if dtype == "i1" else a for a in (GREY, RGB))
    cases = write(dtype, make(GREY), grey3(grey), limits)
    return cases + (write(f"{dtype}_rgb", make(RGB), rgb, limits) if colours else [])


def _tiff(name: str, samples: np.ndarray, *rest: Any) -> list[Case]:
    kind = "rgb" if samples.ndim == 3 else "minisblack"
    return [
        Case(f"{name}.tif", tiff(samples, photometric=kind), *rest),
        Case(f"{name}_big.tiff", tiff(samples, photometric=kind, bigtiff=True, byteorder=">"), *rest),
        Case(f"{name}_tiles.tif", tiff(samples, photometric=kind, tile=(16, 16), compression="zlib"), *rest),
    ]


def _nifti(name: str, samples: np.ndarray, *rest: Any) -> list[Case]:
    samples = samples[:, :, None, None, :] if samples.ndim == 3 else samples
    return [Case(f"{name}.nii", nifti(samples), *rest), Case(f"{name}.nii.gz", nifti(samples), *rest)]


_PLANES = np.moveaxis(RGB, 2, 0)
_RGBA, _LA = np.dstack([RGB, ALPHA]), np.dstack([GREY, ALPHA])
_SHOWN, _GREY_SHOWN = over_white(RGB, ALPHA), over_white(grey3(GREY), ALPHA)
_PREMULTIPLIED = np.dstack([(RGB * (ALPHA[..., None] / 255)).astype(np.uint8), ALPHA])
_FROM_BLACK = np.minimum(_PREMULTIPLIED[..., :3].astype(int) + 255 - ALPHA[..., None], 255).astype(np.uint8)
_FIVE = np.dstack([_RGBA, GREY])
_OPAQUE = np.full_like(MASK, 255)
_TURNED = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: RGB[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(RGB),
}
_KEYED = np.where((RGB[1, 2] == RGB).all(2, keepdims=True), 255, RGB)
_MAP16 = (np.repeat(COLOURS.astype(np.uint16), 64, axis=0) * 257).T
_JPEG_GREY = np.full((16, 16), 120, np.uint8)
_JPEG_RGB = np.broadcast_to(np.array([8, 195, 186], np.uint8), (16, 16, 3))  # stays as it is
_JPEG_RIGHT = grey3(np.hstack([_JPEG_GREY // 2, _JPEG_GREY]))
_EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
_RIGHT = np.rot90(RGB, -1)  # orientation 6: turned to the right
_BITS = GREY > 99
_SIZE = {"t256": 7, "t257": 5}

IMAGES: dict[str, dict[str, list[Case]]] = {
    "grey of 8 bits": {
        PNG: [Case("a.png", pil(GREY), grey3(GREY)), Case("b.png", png(GREY, 8, 0, adam7=True), grey3(GREY))],
        JPEG: [Case("a.jpg", pil(_JPEG_GREY, quality=95), grey3(_JPEG_GREY))],
        BMP: [Case("a.bmp", pil(GREY), grey3(GREY))],
        TIFF: [
            *_tiff("a", GREY, grey3(GREY)),
            *(
                Case(f"{c}.tif", pil(GREY, compression=c), grey3(GREY))
                for c in ("tiff_lzw", "packbits", "lzma", "zstd", "tiff_deflate")
            ),
            Case("jpeg.tif", pil(_JPEG_GREY, compression="jpeg"), grey3(_JPEG_GREY)),
        ],
        RAW: [*_raw("a", GREY, grey3(GREY)), Case("b.nrrd", nrrd(GREY), grey3(GREY))],
        NIFTI: [*_nifti("a", GREY, grey3(GREY)), Case("two.nii", nifti(GREY, kind=nibabel.Nifti2Image), grey3(GREY))],
    },
    "RGB of 8 bits": {
        PNG: [Case("a.png", pil(RGB), RGB), Case("b.png", png(RGB, 8, 2, adam7=True), RGB)],
        JPEG: [
            Case("a.jpg", pil(_JPEG_RGB, quality=95), _JPEG_RGB),
            Case("b.jpeg", pil(_JPEG_RGB, quality=95, progressive=True), _JPEG_RGB),
        ],
        BMP: [Case("a.bmp", pil(RGB), RGB)],
        TIFF: [
            *_tiff("a", RGB, RGB),
            Case("planes.tif", tiff(_PLANES, photometric="rgb", planarconfig="separate"), RGB),
            Case("strips.tif", tiff(RGB, photometric="rgb", rowsperstrip=2, compression="zlib", predictor=True), RGB),
            *(Case(f"{c}.tif", pil(RGB, compression=c), RGB) for c in ("tiff_lzw", "packbits", "lzma", "zstd")),
            Case("jpeg.tif", pil(_JPEG_RGB, compression="jpeg", quality=95), _JPEG_RGB),
            Case("jpeg_ycbcr.tif", pil(_JPEG_RGB, "YCbCr", compression="jpeg", quality=95), _JPEG_RGB),
        ],
        RAW: [*_raw("a", RGB, RGB), Case("b.nrrd", nrrd(RGB, kinds="RGB-color domain domain"), RGB)],
        NIFTI: [
            *_nifti("a", RGB, RGB),
            Case("monai.nii", nifti(RGB[:, :, None, :]), RGB),
            Case("rgb24.nii.gz", nifti(rgb24(RGB)), RGB),
        ],
    },
    "grey of 1 bit": {
        PNG: [Case("a.png", pil(_BITS), grey3(_BITS * 255))],
        BMP: [Case("a.bmp", pil(_BITS), grey3(_BITS * 255))],
        TIFF: [
            *(
                Case(f"{c}.tif", pil(_BITS, compression=c), grey3(_BITS * 255))
                for c in (None, "group4", "tiff_lzw", "tiff_deflate", "packbits")
            ),
        ],
    },
    "grey of 2 or 4 bits": {
        PNG: [
            Case("2.png", png(MASK, 2, 0), grey3(MASK * 85)),
            Case("4.png", png(GREY >> 4, 4, 0), grey3((GREY >> 4) * 17)),
        ],
        TIFF: [
            Case(f"{bits}.tif", tags_tiff(packed(samples, bits), **_SIZE, t258=bits, t262=1), grey3(samples * (255 // top)))
            for samples, bits, top in ((MASK, 2, 3), (GREY >> 4, 4, 15))
        ],
    },
    "palette": {
        PNG: [Case("a.png", palette(MASK), COLOURS[MASK]), Case("2.png", palette(MASK, bits=2), COLOURS[MASK])],
        BMP: [Case("a.bmp", palette(MASK), COLOURS[MASK])],
        TIFF: [
            Case("a.tif", palette(MASK), COLOURS[MASK]),
            Case("lzw.tif", palette(MASK, compression="tiff_lzw"), COLOURS[MASK]),
            Case("map16.tif", tiff(MASK * 64, photometric="palette", colormap=_MAP16), COLOURS[MASK]),
            Case("map8.tif", tiff(MASK * 64, photometric="palette", colormap=_MAP16 // 257), COLOURS[MASK]),
        ],
    },
    "RGB of 5 or 6 bits": {
        BMP: [Case("565.bmp", bmp565, np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 82]]], np.uint8))],
    },
    "grey or RGB of 16 bits": {
        PNG: [
            *_deep("u2", lambda n, a, *rest: [Case(f"{n}.png", png(a, 16, 0 if a.ndim == 2 else 2), *rest)]),
            *_deep("u2", lambda n, a, *rest: [Case(f"{n}_i.png", png(a, 16, 0 if a.ndim == 2 else 2, adam7=True), *rest)]),
        ],
        TIFF: [*_deep("u2", _tiff), *_deep("i2", _tiff)],
        RAW: [*_deep("u2", _raw), *_deep("i2", _raw)],
        NIFTI: [*_deep("u2", _nifti), *_deep("i2", _nifti)],
    },
    "grey or RGB of signed, 32-bit, 64-bit or floating-point numbers": {
        TIFF: [c for d in ("i1", "u4", "i4", "u8", "i8", "f2", "f4", "f8") for c in _deep(d, _tiff)],
        RAW: [
            *(c for d in ("f4", "f8") for c in _deep(d, _raw)),
            *(c for d in ("u4", "i4") for c in _deep(d, _raw, colours=False)),
            *(
                c
                for d in ("i1", "u4", "i4", "u8", "i8", ">f4", ">i2")
                for c in _deep(d, lambda n, a, *rest: [Case(f"{n}.nrrd".replace(">", "b"), nrrd(a), *rest)])
            ),
        ],
        NIFTI: [c for d in ("i1", "u4", "i4", "u8", "i8", "f4", "f8") for c in _deep(d, _nifti)],
    },
    "slope and intercept": {
        RAW: [Case("a.mha", lambda path: _worded(path, b"NDims", b"ElementToIntensityFunctionSlope = 2\nNDims"))],
        NIFTI: [Case("a.nii", nifti(GREY, (2.0, -10.0)), grey3(GREY), (-10, 500))],
    },
    "alpha beside 8 bits": {
        PNG: [
            Case("rgba.png", pil(_RGBA), _SHOWN),
            Case("la.png", pil(_LA), _GREY_SHOWN),
            Case(
                "palette.png",
                palette(MASK, transparency=b"\0\x80"),
                over_white(COLOURS[MASK], np.array([0, 128, 255, 255])[MASK]),
            ),
            Case("key.png", png(RGB, 8, 2, ((b"tRNS", RGB[1, 2].astype(">u2").tobytes()),)), _KEYED),
            Case("key2.png", png(MASK, 2, 0, ((b"tRNS", b"\0\2"),)), grey3(np.where(MASK == 2, 255, MASK * 85))),
            Case("key1.png", png(_BITS, 1, 0, ((b"tRNS", b"\0\0"),)), grey3(np.full_like(GREY, 255))),
        ],
        BMP: [Case("a.bmp", bmp_rgba, _SHOWN)],
        TIFF: [
            Case("a.tif", tiff(_RGBA, photometric="rgb"), _SHOWN),
            Case("lzw.tif", pil(_RGBA, compression="tiff_lzw"), _SHOWN),
            Case("la.tif", pil(_LA, compression="tiff_lzw"), _GREY_SHOWN),
            *(
                Case(
                    f"a_{c}.tif",
                    tiff(_PREMULTIPLIED, photometric="rgb", extrasamples=["assocalpha"], compression=c),
                    _FROM_BLACK,
                )
                for c in (None, "zlib")
            ),
        ],
        RAW: [
            Case(
                f"a{end}",
                lambda path: itk.imwrite(itk.image_from_array(_RGBA, ttype=itk.Image[itk.RGBAPixel[itk.UC], 2]), str(path)),
                _SHOWN,
            )
            for end in (".mha", ".nrrd")
        ],
        NIFTI: [Case("a.nii", nifti(rgb24(_RGBA)), _SHOWN)],
    },
    "alpha beside more bits": {
        PNG: [
            Case("a.png", png(_RGBA, 16, 6)),
            Case("b.png", png(_LA, 16, 4)),
            Case("c.png", png(RGB, 16, 2, ((b"tRNS", b"\0\1" * 3),))),
        ],
        TIFF: [Case("a.tif", tiff(_RGBA.astype(np.uint16), photometric="rgb"))],
        RAW: [Case("a.nrrd", nrrd(_RGBA.astype(np.uint16)))],
        NIFTI: [Case("a.nii", nifti(_RGBA.astype(np.uint16)[:, :, None, None, :]))],
    },
    "white is zero": {
        TIFF: [
            Case("a.tif", tiff(GREY, photometric="miniswhite"), grey3(255 - GREY)),
            Case("lzw.tif", pil(GREY, compression="tiff_lzw", tiffinfo={262: 0}), grey3(GREY)),
            Case("4.tif", tags_tiff(packed(GREY >> 4, 4), **_SIZE, t258=4, t262=0), grey3((15 - (GREY >> 4)) * 17)),
            Case("1.tif", tiff(_BITS, photometric=None), grey3(255 * ~_BITS)),
        ],
    },
    "white is zero, of more bits": {TIFF: [Case("a.tif", tiff(GREY.astype(np.uint16), photometric="miniswhite"))]},
    "2 or 5 channels, or 4 of which none is alpha": {
        TIFF: [
            Case("2.tif", tiff(_LA, planarconfig="contig", extrasamples=["unspecified"])),
            Case("3.tif", tiff(RGB, planarconfig="contig", extrasamples=["unspecified"] * 2)),
            Case("5.tif", tiff(_FIVE, planarconfig="contig", photometric="rgb", extrasamples=["unspecified"] * 2)),
            Case("4.tif", tiff(_RGBA, photometric="rgb", extrasamples=["unspecified"])),
            Case("not_multiplied.tif", tiff(_RGBA, photometric="rgb", extrasamples=["assocalpha"])),
        ],
        RAW: [*_raw("2", _LA), *_raw("5", _FIVE)],
        NIFTI: [*_nifti("2", _LA), *_nifti("5", _FIVE)],
    },
    "CMYK, CIELab, YCbCr without JPEG": {
        JPEG: [Case("a.jpg", pil(_JPEG_RGB, "CMYK"))],
        TIFF: [
            *(Case(f"{mode}.tif", pil(_JPEG_RGB, mode)) for mode in ("CMYK", "YCbCr")),
            Case("lab.tif", tiff(RGB, photometric="cielab")),
        ],
    },
    "samples packed in 12 or 24 bits": {
        TIFF: [Case(f"{bits}.tif", tags_tiff(bytes(200), **_SIZE, t258=bits, t262=1)) for bits in (12, 24)],
    },
    "complex numbers": {
        TIFF: [Case("a.tif", tiff(GREY.astype(np.complex64)))],
        NIFTI: [Case("a.nii", nifti(GREY.astype(np.complex64)))],
    },
    "NaN or infinity": {
        TIFF: [Case("a.tif", tiff(np.where(GREY > 99, np.nan, 1).astype(np.float32)))],
        RAW: _raw("a", np.where(GREY > 99, np.inf, 1).astype(np.float32)),
        NIFTI: _nifti("a", np.where(GREY > 99, np.nan, 1)),
    },
    "several pictures: animation, pages, slices": {
        PNG: [
            Case(
                "a.png",
                lambda path: Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(255 - RGB)]),
            )
        ],
        TIFF: [
            Case("pages.tif", tiff(_PLANES)),
            Case("others.tif", pages(RGB, smaller=False)),
            Case("imagej.tif", tiff(_PLANES, imagej=True)),
            Case("truncated.tif", tiff(_PLANES, metadata={"axes": "ZYX"}, truncate=True)),
        ],
        RAW: [Case(f"a{end}", itk_file(_PLANES)) for end in (".mha", ".mhd", ".nrrd")],
        NIFTI: [
            *_nifti("slices", RGB[:, :, :, None, None]),
            Case("times.nii", nifti(np.repeat(RGB[:, :, None, None, :], 2, axis=3))),
            Case("deep.nii", nifti(RGB)),
        ],
    },
    "smaller copies beside the picture": {TIFF: [Case("a.tif", pages(RGB, smaller=True), RGB)]},
    "an orientation": {
        PNG: [
            Case("a.png", turned(RGB, 6), _RIGHT),
            Case("late.png", png(RGB, 8, 2, ((b"eXIf", _EXIF),), late=True), _RIGHT),
        ],
        JPEG: [Case("a.jpg", turned(np.vstack([_JPEG_GREY, _JPEG_GREY // 2]), 6, quality=95), _JPEG_RIGHT)],
        TIFF: [
            *(Case(f"{k}.tif", pil(RGB, tiffinfo={274: k}), image) for k, image in _TURNED.items()),
            *(
                Case(f"{k}_lzw.tif", pil(RGB, tiffinfo={274: k}, compression="tiff_lzw"), image)
                for k, image in _TURNED.items()
            ),
        ],
    },
}

MASKS: dict[str, dict[str, list[Case]]] = {
    "whole numbers of 1, 2, 4 or 8 bits": {
        PNG: [
            Case("1.png", pil(_BITS), _BITS),
            Case("2.png", png(MASK, 2, 0), MASK),
            Case("4.png", png(GREY >> 4, 4, 0, adam7=True), GREY >> 4),
            Case("8.png", pil(GREY), GREY),
        ],
        JPEG: [Case("8.jpg", pil(GREY, quality=100)), Case("one.jpg", pil(_JPEG_GREY))],
        BMP: [Case("1.bmp", pil(_BITS), _BITS), Case("8.bmp", pil(GREY), GREY)],
        TIFF: [
            *_tiff("8", GREY, GREY),
            Case("1.tif", pil(_BITS, compression="group4"), _BITS),
            Case("4.tif", tags_tiff(packed(GREY >> 4, 4), **_SIZE, t258=4, t262=1), GREY >> 4),
            Case("lzw.tif", pil(GREY, compression="tiff_lzw"), GREY),
        ],
        RAW: _raw("8", GREY, GREY),
        NIFTI: _nifti("8", GREY, GREY),
    },
    "palette": {
        PNG: [Case("a.png", palette(MASK, transparency=0), MASK), Case("2.png", palette(MASK, bits=2), MASK)],
        BMP: [Case("a.bmp", palette(MASK), MASK)],
        TIFF: [Case("a.tif", palette(MASK), MASK), Case("lzw.tif", palette(MASK, compression="tiff_lzw"), MASK)],
    },
    "whole numbers of other types": {
        PNG: [Case("16.png", png(MASK, 16, 0), MASK)],
        TIFF: [
            *(c for d in ("i1", "u2", "i2", "u4", "i4", "u8", "i8") for c in _tiff(d, MASK.astype(d), MASK)),
            Case("lzw.tif", pil(MASK.astype(np.uint16), compression="tiff_lzw"), MASK),
        ],
        RAW: [
            *(c for d in ("u2", "i2", "u4", "i4") for c in _raw(d, MASK.astype(d), MASK)),
            *(Case(f"{d}.nrrd", nrrd(MASK.astype(d)), MASK) for d in ("i1", "u8", "i8")),
        ],
        NIFTI: [c for d in ("i1", "u2", "i2", "u4", "i4", "u8", "i8") for c in _nifti(d, MASK.astype(d), MASK)],
    },
    "floating-point numbers, all of them whole": {
        TIFF: [c for d in ("f2", "f4", "f8") for c in _tiff(d, MASK.astype(d), MASK)],
        RAW: [c for d in ("f4", "f8") for c in _raw(d, MASK.astype(d), MASK)],
        NIFTI: [c for d in ("f4", "f8") for c in _nifti(d, MASK.astype(d), MASK)],
    },
    "other floating-point numbers": {
        TIFF: _tiff("a", MASK / np.float32(4)),
        RAW: _raw("a", MASK / np.float32(4)),
        NIFTI: [*_nifti("a", MASK / 4), *_nifti("nan", np.where(MASK > 1, np.nan, 0))],
    },
    "slope and intercept that give whole numbers": {NIFTI: [Case("a.nii", nifti(MASK, (2.0, 1.0)), MASK * 2 + 1)]},
    "other slopes and intercepts": {NIFTI: [Case("a.nii", nifti(MASK, (0.3, 0.0)))]},
    "values below 0, or above the classes and white": {
        PNG: [Case("high.png", png(MASK.astype(np.uint16) + 256, 16, 0))],
        TIFF: [*_tiff("low", MASK.astype(np.int16) - 1), *_tiff("high", MASK.astype(np.float32) + 254)],
        RAW: [*_raw("low", MASK.astype(np.int16) - 1), *_raw("high", MASK.astype(np.uint16) + 254)],
        NIFTI: [*_nifti("low", MASK.astype(np.int16) - 1), *_nifti("high", MASK.astype(np.uint16) + 254)],
    },
    "RGB": {
        PNG: [Case("a.png", pil(RGB)), Case("same.png", pil(grey3(MASK))), Case("16.png", png(RGB, 16, 2))],
        JPEG: [Case("a.jpg", pil(RGB))],
        BMP: [Case("a.bmp", pil(RGB))],
        TIFF: [*_tiff("a", RGB), *_tiff("16", RGB.astype(np.uint16))],
        RAW: _raw("a", RGB),
        NIFTI: [*_nifti("a", RGB), Case("rgb24.nii", nifti(rgb24(RGB)))],
    },
    "alpha, all opaque": {
        PNG: [Case("a.png", pil(np.dstack([MASK, _OPAQUE])), MASK)],
        TIFF: [Case("a.tif", pil(np.dstack([MASK, _OPAQUE]), compression="tiff_lzw"), MASK)],
    },
    "other alpha": {
        PNG: [Case("a.png", pil(_LA)), Case("16.png", png(_LA, 16, 4)), Case("rgba.png", pil(_RGBA))],
        TIFF: [
            Case("a.tif", pil(_LA)),
            Case("16.tif", tiff(_LA.astype(np.uint16), planarconfig="contig", extrasamples=[2])),
        ],
    },
    "white is zero": {
        TIFF: [
            Case("a.tif", tiff(GREY, photometric="miniswhite"), GREY),
            Case("lzw.tif", pil(255 - GREY, compression="tiff_lzw", tiffinfo={262: 0}), GREY),
            Case("1.tif", tiff(_BITS, photometric=None), _BITS),
        ],
    },
    "several pictures: animation, pages, slices": IMAGES["several pictures: animation, pages, slices"],
    "samples packed in 12 or 24 bits": IMAGES["samples packed in 12 or 24 bits"],
    "complex numbers": IMAGES["complex numbers"],
    "an orientation": {
        PNG: [Case("a.png", turned(MASK, 6), np.rot90(MASK, -1))],
        TIFF: [Case("a.tif", pil(MASK, tiffinfo={274: 6}), np.rot90(MASK, -1))],
    },
    "JPEG compression in another format, or under another name": {
        PNG: [Case("a.png", pil(_JPEG_GREY, format="JPEG"))],
        TIFF: [Case("a.tif", pil(_JPEG_GREY, compression="jpeg")), Case("b.tif", pil(_JPEG_GREY, format="JPEG"))],
        NIFTI: [Case("a.nii", pil(_JPEG_GREY, format="JPEG"))],
    },
}


def _worded(path: Path, old: bytes, new: bytes) -> None:
    itk.imwrite(itk.image_from_array(GREY), str(path))
    path.write_bytes(path.read_bytes().replace(old, new, 1))
