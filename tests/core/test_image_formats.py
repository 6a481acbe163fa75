from __future__ import annotations

import itertools
import os
import struct
import warnings
import zlib

import itk
import nibabel
import numpy as np
import pytest
import tifffile
from made_images import GREY, IMAGES, MASKS, NIFTI, RGB, nifti, palette, pil, png
from PIL import Image, ImageOps
from scripts import BUNDLE_ROOT
from scripts.core.image_formats import IMAGE_SUFFIXES, MAX_PIXELS, image_header, image_mode, image_size, suffix, upright
from scripts.core.images import read_image, read_mask

# whole files, one for each way of storing pixels
WHOLE = {
    "a.png": pil(RGB),
    "interlaced.png": png(GREY, 8, 0, adam7=True),
    "palette.png": palette(GREY & 3),
    "a.jpg": pil(RGB),
    "progressive.jpg": pil(RGB, progressive=True),
    "a.bmp": pil(RGB),
    "a.tif": pil(RGB),
    **{f"{c}.tif": pil(RGB, compression=c) for c in ("tiff_lzw", "packbits", "zstd", "jpeg")},
    "tiles.tif": lambda path: tifffile.imwrite(path, RGB, tile=(16, 16), compression="zlib"),
    "big.tif": lambda path: tifffile.imwrite(path, GREY, bigtiff=True),
    "a.mha": lambda path: itk.imwrite(itk.image_from_array(GREY), str(path)),
    "zlib.mha": lambda path: itk.imwrite(itk.image_from_array(GREY), str(path), compression=True),
    "a.nrrd": lambda path: itk.imwrite(itk.image_from_array(GREY), str(path)),
    "gzip.nrrd": lambda path: itk.imwrite(itk.image_from_array(GREY), str(path), compression=True),
    "a.nii": nifti(GREY),
    "a.nii.gz": nifti(GREY),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("mask", [False, True])
def test_a_truncated_file_is_one_message_or_whole_all_the_same(tmp_path, name, mask):
    """Cut at every eighth and near the end: pixels are those of the whole file, or there are none."""
    path = tmp_path / name
    WHOLE[name](path)
    whole = path.read_bytes()
    read = read_mask if mask else read_image
    try:
        expected = read(path)
    except ValueError:
        expected = None  # no mask
    for length in [*(len(whole) * k // 8 for k in range(8)), *(len(whole) - k for k in (1, 2, 4, 8, 12))]:
        path.write_bytes(whole[:length])
        try:
            found = read(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            continue
        assert length > len(whole) - 13 and expected is not None  # the end of a PNG says nothing of pixels
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["a.png", "palette.png", "tiles.tif", "zlib.mha", "gzip.nrrd", "a.nii.gz"])
def test_a_flipped_bit_is_noticed_where_the_format_has_checksums(tmp_path, name):
    path = tmp_path / name
    WHOLE[name](path)
    whole = path.read_bytes()
    read = (lambda p: read_image(p).tobytes()) if "tif" in name or name == "a.png" else (lambda p: read_mask(p).tobytes())
    expected = read(path)
    start = {"a.png": 33, "palette.png": 33, "a.nii.gz": 10}.get(name) or len(whole) - 30
    for byte, bit in itertools.product(range(start, len(whole), 3), (0, 5)):
        damaged = bytearray(whole)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            assert read(path) == expected, (byte, bit)
        except ValueError as error:
            assert name in str(error)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_one_flipped_bit_of_a_nifti_header_takes_no_memory(tmp_path, name):
    """Size, dimensions, type, place of the pixels, magic: the pixels as they were, or a refusal before more is read."""
    path = tmp_path / name
    header = nibabel.Nifti1Image(GREY.T, np.eye(4)).to_bytes()[:352]
    fields = [*range(4), *range(40, 56), *range(70, 74), *range(108, 112), *range(344, 348)]
    for bit in (8 * byte + k for byte in fields for k in range(8)):
        damaged = bytearray(header)
        damaged[bit // 8] ^= 1 << bit % 8
        data = bytes(damaged) + GREY.tobytes()
        path.write_bytes(data if name == "a.nii" else gzip_bytes(data))
        try:
            found = read_mask(path)
        except ValueError as error:
            assert name in str(error)
        else:
            np.testing.assert_array_equal(found.ravel(), GREY.ravel(), err_msg=f"bit {bit}")


def gzip_bytes(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _claims(name: str, side: int) -> bytes:
    """A small file whose header claims ``side`` x ``side`` px."""
    if name == "x.png":
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = zlib.compress(bytes(100))
        chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
        parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    if name == "x.bmp":
        return b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
    if name in ("x.nii", "x.nii.gz"):
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.float64)
        header["dim"][:3] = 2, side, side
        header["magic"], header["vox_offset"] = b"n+1", 352
        data = header.binaryblock + bytes(99)
        return data if name == "x.nii" else gzip_bytes(data)
    if name in ("x.mha", "z.mha"):
        packed = b"CompressedData = True\n" if name == "z.mha" else b""
        sizes = b"NDims = 2\nDimSize = %d %d\n" % (side, side)
        return sizes + packed + b"ElementType = MET_DOUBLE\nElementDataFile = LOCAL\n" + zlib.compress(bytes(99))
    text = b"NRRD0004\ntype: double\ndimension: 2\nsizes: %d %d\nendian: little\nencoding: %s\n\n"
    return text % (side, side, b"raw" if name == "x.nrrd" else b"gzip") + gzip_bytes(bytes(99))


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.nii", "x.nii.gz", "x.mha", "z.mha", "x.nrrd", "z.nrrd"])
def test_a_header_that_claims_more_than_the_file_can_hold_is_refused_at_once(tmp_path, name):
    (tmp_path / name).write_bytes(_claims(name, 16_000))
    for read in (image_size, read_image, read_mask):
        with pytest.raises(ValueError, match=rf"{name}: truncated or damaged: its header speaks of \d+ bytes"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "tag", "value"), [("tiff_lzw.tif", 256, 60_000), ("a.tif", 257, 60_000), ("tiles.tif", 322, 2**20)]
)
def test_a_tiff_that_claims_more_than_it_holds_is_refused_at_once(tmp_path, name, tag, value):
    WHOLE[name](tmp_path / name)
    with tifffile.TiffFile(tmp_path / name, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value, dtype="I")
    with pytest.raises(ValueError, match=rf"{name}: (truncated or damaged|damaged|found tiles)"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(("rows", "fits"), [(5, True), (2, False)])
def test_a_strip_of_no_stated_length_is_unpacked_no_further_than_the_picture(tmp_path, rows, fits):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression="zlib", rowsperstrip=len(RGB), metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages[0].tags
        tags["RowsPerStrip"].overwrite(2**32 - 1, dtype="I")
        tags["ImageLength"].overwrite(rows)
    if fits:
        assert np.array_equal(read_image(path), RGB)
    else:
        with pytest.raises(ValueError, match="longer than its header says"):
            read_image(path)


@pytest.mark.parametrize("codec", ["tiff_adobe_deflate", "tiff_lzw"])
def test_the_predictor_of_floating_point_numbers(tmp_path, codec):
    mask = (GREY & 3).astype(np.float32)
    Image.fromarray(mask).save(tmp_path / "x.tif", compression=codec, tiffinfo={317: 3})
    assert np.array_equal(read_mask(tmp_path / "x.tif"), mask)


def test_more_bytes_than_pixels_and_types_allow_are_refused_before_decoding(tmp_path):
    nifti(RGB.astype(np.float64)[:, :, None, None, :])(tmp_path / "x.nii")
    with pytest.raises(
        ValueError, match=r"x\.nii: found 7 x 5 px of RGB of 64 bits \(float64\), 840 bytes, more than the 560 that"
    ):
        read_image(tmp_path / "x.nii", max_pixels=35, value_range=(0, 255))
    with pytest.raises(ValueError, match=r"7 x 5 px, more than the 34"):
        read_image(tmp_path / "x.nii", max_pixels=34, value_range=(0, 255))
    assert read_image(tmp_path / "x.nii", max_pixels=53, value_range=(0, 255)).shape == RGB.shape


@pytest.mark.parametrize("name", WHOLE)
def test_the_bound_on_pixels_is_this_bundles_alone(tmp_path, name, monkeypatch):
    """Pillow stops at 178,956,970 px and warns at half of that; 2^28 are promised."""
    WHOLE[name](tmp_path / name)
    expected = read_image(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(tmp_path / name), expected)
    assert Image.MAX_IMAGE_PIXELS == 10 and MAX_PIXELS == 2**28


@pytest.mark.parametrize(
    "name", [b"\xff\xfe umlaut.png", b"\xe4.tif", b"\xe4.nii.gz", b"\xe4.mha", b"line\nbreak.jpg", b"\xe4.bmp"]
)
def test_file_names_that_are_no_text(tmp_path, name):
    """Read as any other, and named in messages that can be printed and written."""
    path = tmp_path / os.fsdecode(name)
    source = tmp_path / f"whole{suffix(path)}"
    (nifti(GREY) if suffix(path) == ".nii.gz" else WHOLE["a.mha"] if suffix(path) == ".mha" else pil(GREY))(source)
    path.write_bytes(source.read_bytes())
    np.testing.assert_array_equal(read_image(path), read_image(source))
    path.write_bytes(source.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"umlaut|xe4|x0abreak") as refused:
        read_image(path)
    assert "\n" not in str(refused.value) and str(refused.value).encode("utf-8")


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\\x00b\.png: no such file"):
        image_size(f"{tmp_path}/a\0b.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere.png")
    for name in ("folder.png", "link.png"):
        with pytest.raises(ValueError, match=rf"{name}: found a folder.*expected an image file"):
            read_image(tmp_path / name)
    for name in ("empty.png", "empty.mha", "empty.nii.gz"):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=rf"{name}: found an empty file"):
            read_image(tmp_path / name)
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"a\.gif: found suffix '\.gif', expected one of \.png"):
        read_image(tmp_path / "a.gif")
    (tmp_path / "a.png").write_bytes(b"GIF89a" + bytes(99))
    with pytest.raises(ValueError, match=r"a\.png: found a file that begins with b'GIF89a"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("content", ["a.png", "a.bmp", "a.tif", "a.nrrd"])
@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.mha", "x.nii", "x.jpg"])
def test_content_decides_what_a_file_is(tmp_path, content, name):
    WHOLE[content](tmp_path / content)
    (tmp_path / name).write_bytes((tmp_path / content).read_bytes())
    np.testing.assert_array_equal(read_image(tmp_path / name), read_image(tmp_path / content))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_exif(tmp_path, orientation):
    image = Image.fromarray(RGB)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(upright(RGB, orientation), expected)
    pil(RGB, exif=image.getexif())(tmp_path / "a.png")
    assert image_size(tmp_path / "a.png") == expected.shape[:2] == read_image(tmp_path / "a.png").shape[:2]


def test_damaged_exif_is_no_orientation(tmp_path):
    pil(RGB, exif=b"Exif\0\0nonsense")(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg: damaged: its EXIF data, which say how it is turned"):
        image_size(tmp_path / "a.jpg")


def test_headers_say_what_is_read_without_decoding(tmp_path, monkeypatch):
    """Sizes and modes come from files whose pixels cannot be decoded."""
    png(RGB, 16, 2)(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    at = whole.index(b"IDAT") + 6
    (tmp_path / "a.png").write_bytes(whole[:at] + bytes(20) + whole[at + 20 :])
    header = image_header(tmp_path / "a.png")
    assert header.size == image_size(tmp_path / "a.png") == (5, 7) and image_mode(tmp_path / "a.png") == "colour"
    assert header.dtype == np.uint16 and not header.eight_bits and header.content == "RGB of 16 bits (uint16)"


# --- docs/reference/formats.md ------------------------------------------------------------------------------------------


def _table(title: str) -> dict[str, dict[str, str]]:
    with open(f"{BUNDLE_ROOT}/docs/reference/formats.md", encoding="utf-8") as file:
        section = file.read().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


@pytest.mark.parametrize(("title", "made"), [("Images", IMAGES), ("Masks", MASKS)])
def test_the_page_says_of_every_kind_and_format_what_the_cases_show(title, made):
    shown = {
        kind: {
            form: {"scaled" if c.value_range else "refused" if c.expected is None else "read" for c in cases}
            for form, cases in formats.items()
        }
        for kind, formats in made.items()
    }
    table = _table(title)
    assert {k: {f: {c} for f, c in row.items() if c != "–"} for k, row in table.items()} == shown
    assert set(table["RGB of 8 bits" if title == "Images" else "RGB"]) == {
        "PNG",
        "JPEG",
        "BMP",
        "TIFF",
        "MetaImage, NRRD",
        NIFTI,
    }


def test_the_page_has_every_suffix_and_the_bound():
    with open(f"{BUNDLE_ROOT}/docs/reference/formats.md", encoding="utf-8") as file:
        text = file.read()
    assert all(f"`{s}`" in text for s in IMAGE_SUFFIXES) and "2^28" in text and MAX_PIXELS == 2**28
