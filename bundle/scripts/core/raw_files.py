"""MetaImage (.mha, .mhd) and NRRD: a header in words, and pixels behind it or in one file beside it.

Read here rather than by ITK, which takes damaged compressed data for whole, any path for a data file, and cuts what it
converts to the low byte.
"""

from __future__ import annotations

import bz2
import gzip
import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .image_header import DEFLATE_RATIO, ImageHeader, Refused, check_data_size, colour_channels

__all__ = ["RawData", "data_file", "metaimage_header", "nrrd_header", "raw_samples"]

_LONGEST_HEADER = 2**16
_META_TYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4", "ULONG": "u4",
    "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8",
}  # fmt: skip
_NRRD_TYPES = {
    name: dtype
    for dtype, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
        "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}
_NRRD_CODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_NRRD_COLOURS = ("rgb-color", "rgba-color", "3-color", "4-color", "vector", "list", "scalar", "stub")


class RawData(NamedTuple):
    """Where pixels stand: ``size`` bytes after ``skip`` of what ``coding`` (raw, zlib, gzip, bzip2) makes of the file."""

    file: Path
    offset: int
    coding: str
    size: int
    skip: int = 0


def metaimage_header(path: Path) -> ImageHeader:
    """Header of a MetaImage.

    Raises:
        Refused: several slices, another number of channels, another data file than one in the header's folder, or more
            pixels than the file holds.
    """
    fields: dict[str, str] = {}
    with open(path, "rb") as file:
        while "elementdatafile" not in fields:
            key, separator, value = _line(file).partition("=")
            if not separator:
                raise Refused(f"not a MetaImage header, found the line {key[:40]!r}")
            fields[key.strip().lower()] = value.strip()
        end = file.tell()
    yes = {key: value.lower() in ("true", "1", "yes") for key, value in fields.items()}
    if not yes.get("binarydata", True):
        raise Refused("found pixels written as text, expected BinaryData = True")
    function = [float(fields.get(f"elementtointensityfunction{k}", v)) for k, v in (("slope", 1), ("offset", 0))]
    if function != [1, 0]:
        raise Refused(f"found an ElementToIntensityFunction of slope and offset {function}, expected none")
    type_name = fields["elementtype"].upper().removeprefix("MET_")
    if type_name not in _META_TYPES:
        raise Refused(f"found ElementType {type_name[:40]}, expected one of {', '.join(_META_TYPES)}")
    big = yes.get("elementbyteordermsb", yes.get("binarydatabyteordermsb", False))
    dtype = np.dtype(_META_TYPES[type_name]).newbyteorder(">" if big else "<")
    sizes = [int(v) for v in fields["dimsize"].split()]
    if len(sizes) != int(fields["ndims"]):
        raise Refused(f"found NDims {fields['ndims']} and DimSize {fields['dimsize'][:40]}")
    channels = int(fields.get("elementnumberofchannels", 1))
    offset = int(fields.get("headersize", 0))
    skip = -1 if offset == -1 else 0
    data = path if fields["elementdatafile"].upper() == "LOCAL" else _beside(path, fields["elementdatafile"])
    if data is path:
        offset, skip = end, 0
    coding = "zlib" if yes.get("compresseddata") else "raw"
    return _header("MetaImage", data, max(offset, 0) if skip else offset, coding, dtype, channels, sizes, skip)


def nrrd_header(path: Path) -> ImageHeader:
    """Header of an NRRD file.

    Raises:
        Refused: several slices, another number of channels, another data file than one in the header's folder, or more
            pixels than the file holds.
    """
    fields: dict[str, str] = {}
    with open(path, "rb") as file:
        _line(file)
        while line := _line(file, last="" if fields else None):
            if field := re.match(r"([^:#]+): (.*)", line):  # the others are comments, and values of no field (":=")
                fields[field[1].lower().replace(" ", "")] = field[2].strip()
        offset = file.tell()
        data, lines = path, int(fields.get("lineskip", 0))
        if "datafile" in fields:
            data, offset = _beside(path, fields["datafile"]), 0
        coding = _NRRD_CODINGS.get(fields["encoding"].lower())
        if coding is None:
            raise Refused(f"found encoding {fields['encoding'][:40]}, expected raw, gzip or bzip2")
        if lines:
            with open(data, "rb") as skipped:
                skipped.seek(offset)
                for _ in range(min(lines, _LONGEST_HEADER)):
                    skipped.readline(_LONGEST_HEADER)
                offset = skipped.tell()
    if fields["type"].lower() not in _NRRD_TYPES:
        raise Refused(f"found type {fields['type'][:40]}, expected integers or floating-point numbers")
    dtype = np.dtype(_NRRD_TYPES[fields["type"].lower()])
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder({"little": "<", "big": ">"}[fields["endian"].lower()])
    sizes = [int(v) for v in fields["sizes"].split()]
    kinds = fields.get("kinds", "").lower().split()
    if len(sizes) != int(fields["dimension"]) or len(kinds) not in (0, len(sizes)):
        raise Refused(f"found dimension {fields['dimension']} and sizes {fields['sizes'][:40]}")
    channels = 1
    if kinds and kinds[0] in _NRRD_COLOURS:  # other kinds, and no kind, are places
        channels, sizes = sizes[0], sizes[1:]
    return _header("NRRD", data, offset, coding, dtype, channels, sizes, int(fields.get("byteskip", 0)))


def data_file(path: str | Path) -> Path | None:
    """The file beside a header that holds its pixels; ``None`` for any other image, and for a header that is refused."""
    path = Path(path)
    read = {".mha": metaimage_header, ".mhd": metaimage_header, ".nrrd": nrrd_header}.get(path.suffix.lower())
    try:
        file = read(path).detail.file if read else path
    except (OSError, ValueError, KeyError, OverflowError):
        return None
    return None if file == path else file


def raw_samples(header: ImageHeader) -> np.ndarray:
    """Samples as stored: ``(H, W)`` or ``(H, W, channels)`` of the header's type.

    Raises:
        Refused: more or fewer bytes than the header says.
    """
    data: RawData = header.detail
    with open(data.file, "rb") as file:
        file.seek(data.offset)
        found = _unpacked(file, data.coding, data.skip + data.size + 1)
    check_data_size(data.size, len(found) - data.skip)
    channels = header.colours + bool(header.alpha)
    samples = np.frombuffer(found, header.dtype, offset=data.skip)
    return samples.reshape(header.height, header.width, *([channels] if channels > 1 else []))


def _unpacked(file: BinaryIO, coding: str, most: int) -> bytes:
    """At most ``most`` bytes; checksums are looked at where the data end before."""
    if coding == "raw":
        return file.read(most)
    if coding in ("gzip", "bzip2"):
        with (gzip if coding == "gzip" else bz2).open(file) as unpacked:
            return unpacked.read(most)
    stream = zlib.decompressobj(47)  # of zlib or gzip
    found = stream.decompress(file.read(), most)
    if not stream.eof and len(found) < most:
        raise Refused("the compressed data end too early")
    return found


def _header(
    kind: str, data: Path, offset: int, coding: str, dtype: np.dtype, channels: int, sizes: list[int], skip: int = 0
) -> ImageHeader:
    if len(sizes) < 2 or min(sizes) < 1:
        raise Refused(f"found sizes {' '.join(map(str, sizes))}, expected width and height")
    if max(sizes[2:], default=1) > 1:
        raise Refused(f"found {' x '.join(map(str, sizes))} pixels, a stack of slices; expected one picture")
    colours, alpha = colour_channels(channels)
    size = sizes[0] * sizes[1] * channels * dtype.itemsize
    stored = os.path.getsize(data) - offset
    if skip == -1 and coding == "raw":  # the pixels are what stands last
        offset, skip, stored = max(offset, offset + stored - size), 0, min(stored, size)
    if offset < 0 or skip < 0:
        raise Refused(f"found a header of {offset} and {skip} bytes before the pixels, expected none or more")
    if coding == "raw":
        offset, skip, stored = offset + skip, 0, stored - skip
    ratio = {"raw": 1, "zlib": DEFLATE_RATIO, "gzip": DEFLATE_RATIO}.get(coding)
    if ratio:
        check_data_size(size + skip, stored, ratio)
    place = RawData(data, offset, coding, size, skip)
    return ImageHeader(kind, sizes[1], sizes[0], colours, dtype, 8 * dtype.itemsize, alpha, detail=place)


def _beside(header: Path, name: str) -> Path:
    """The one data file that a header names, which has to lie in the header's own folder, links followed.

    Raises:
        Refused: a list or pattern of files, or a place elsewhere.
    """
    if name.upper().startswith("LIST ") or name.upper() == "LIST" or "%" in name:
        raise Refused(f"names a list of data files ({name[:80]!r}), expected one picture in one file")
    folder, data = header.parent.resolve(), header.parent / name
    if not data.resolve().is_relative_to(folder):
        raise Refused(f"names the data file {name[:200]!r}, expected one in its own folder")
    if not data.is_file():
        raise Refused(f"names the data file {name[:200]!r}, found no such file beside it")
    return data


def _line(file: BinaryIO, last: str | None = None) -> str:
    line = file.readline(_LONGEST_HEADER)
    if not line.endswith(b"\n") or file.tell() > _LONGEST_HEADER:
        if not line and last is not None:
            return last
        raise Refused("not a header of this format, or cut off in it")
    return os.fsdecode(line).strip()
