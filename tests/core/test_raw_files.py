from __future__ import annotations

import builtins
import os
import zlib
from pathlib import Path

import itk
import numpy as np
import pytest
from made_images import GREY
from scripts.core.images import image_mode, image_size, read_image, read_mask
from scripts.core.raw_files import data_file

MHD = "NDims = 2\nDimSize = 7 5\nElementType = MET_UCHAR\n{more}ElementDataFile = {data}\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 7 5\nencoding: raw\n{more}data file: {data}\n\n"


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file beside the folder of headers, of the length that they speak of."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sub").mkdir()
    (tmp_path / "secret.raw").write_bytes(GREY.tobytes())
    return tmp_path / "secret.raw"


@pytest.mark.parametrize("name", ["x.mhd", "x.mha", "x.nrrd"])
@pytest.mark.parametrize(
    "data",
    ["{secret}", "../secret.raw", "sub/../../secret.raw", "link.raw", "sub", "/dev/zero", "missing.raw",
     "LIST", "LIST 2", "slice%03d.raw 1 1 1", "slice%d.raw", "./../data/../secret.raw", "linked/secret.raw", "a\0b"],
)  # fmt: skip
def test_a_header_names_no_file_but_one_in_its_own_folder(tmp_path, secret, name, data, monkeypatch):
    folder = tmp_path / "data"
    (folder / "link.raw").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "slice001.raw").write_bytes(GREY.tobytes())
    text = (NRRD if name == "x.nrrd" else MHD).format(data=data.format(secret=secret), more="")
    (folder / name).write_text(text + f"{secret}\n" * 2)
    opened = []
    whole = builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, *rest, **kw: (opened.append(str(path)), whole(path, *rest, **kw))[1])
    for read in (image_size, image_mode, read_image, read_mask):
        with pytest.raises(ValueError, match=rf"{name}: ") as refused:
            read(folder / name)
        assert "data file" in str(refused.value) or "\0" in data
    assert set(opened) == {str(folder / name)}


@pytest.mark.parametrize("name", ["x.mhd", "x.nrrd"])
@pytest.mark.parametrize("data", ["x y.raw", "sub/x.raw", "sub/../x y.raw", "inner.raw", "{folder}/sub/x.raw"])
def test_pixels_beside_the_header_are_read(tmp_path, secret, name, data):
    folder = tmp_path / "data"
    for file in ("x y.raw", "sub/x.raw"):
        (folder / file).write_bytes(b"head" + GREY.tobytes())
    (folder / "inner.raw").symlink_to("sub/x.raw")
    more = "byte skip: 4\n" if name == "x.nrrd" else "HeaderSize = 4\n"
    text = (NRRD if name == "x.nrrd" else MHD).format(data=data.format(folder=folder), more=more)
    (folder / name).write_text(text)
    np.testing.assert_array_equal(read_mask(folder / name), GREY)
    last = text.replace("byte skip: 4", "byte skip: -1").replace("HeaderSize = 4", "HeaderSize = -1")
    (folder / name).write_text(last)  # whatever stands before the pixels
    np.testing.assert_array_equal(read_mask(folder / name), GREY)
    (folder / name).write_text(text.replace(more, ""))
    with pytest.raises(ValueError, match=rf"{name}: damaged: its header speaks of 35 bytes of pixels, found 39"):
        read_mask(folder / name)


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ("encoding: bzip2\nline skip: 1\n", lambda d: b"a line\n" + __import__("bz2").compress(d)),
        ("encoding: gz\nbyte skip: 3\n", lambda d: __import__("gzip").compress(b"abc" + d)),
        ("encoding: raw\nline skip: 2\nbyte skip: 1\n", lambda d: b"1\n2\nx" + d),
    ],
)
def test_what_nrrd_puts_before_the_pixels(tmp_path, head, data):
    text = f"NRRD0005\n# words: none\ntype: unsigned char\ndimension: 3\nsizes: 7 5 1\n{head}note:=sizes: 9 9\n\n"
    (tmp_path / "x.nrrd").write_bytes(text.encode() + data(GREY.tobytes()))
    np.testing.assert_array_equal(read_mask(tmp_path / "x.nrrd"), GREY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MHD.format(data="LOCAL", more="BinaryData = False\n"), "BinaryData"),
        (MHD.format(data="LOCAL", more="").replace("UCHAR", "STRING"), "ElementType STRING"),
        (MHD.format(data="LOCAL", more="").replace("7 5", "7"), "NDims 2 and DimSize 7"),
        (MHD.format(data="LOCAL", more="").replace("7 5", "-7 5"), "sizes -7 5"),
        (MHD.format(data="LOCAL", more="").replace("7 5", "0 5"), "sizes 0 5"),
        (MHD.format(data="LOCAL", more="").replace("NDims = 2", "NDims"), "not a MetaImage header"),
        ("x" * 100_000, "not a header"),
        ("NDims = 2\n", "not a header"),
        ("NRRD0004\ntype: block\ndimension: 2\nsizes: 7 5\nencoding: raw\n\n", "type block"),
        ("NRRD0004\ntype: uchar\ndimension: 2\nsizes: 7 5\nencoding: ascii\n\n", "encoding ascii"),
        ("NRRD0004\ntype: uchar\ndimension: 2\nsizes: 7 5\nencoding: raw\nbyte skip: -9\n\n", "-9 bytes before"),
        ("NRRD0004\ntype: uchar\n\n", "encoding"),
        ("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 3 7 5\nkinds: HSV-color domain domain\nencoding: raw\n\n", "stack"),
    ],
)
def test_headers_that_are_not_read(tmp_path, text, message):
    path = tmp_path / ("x.nrrd" if text.startswith("NRRD") else "x.mha")
    path.write_bytes(text.encode() + GREY.tobytes())
    with pytest.raises(ValueError, match=rf"{path.name}: .*{message}"):
        read_image(path)


@pytest.mark.parametrize(
    ("field", "order"), [("ElementByteOrderMSB", ">"), ("BinaryDataByteOrderMSB", ">"), ("Comment", "<")]
)
def test_the_order_of_bytes_of_metaimage(tmp_path, field, order):
    text = MHD.format(data="LOCAL", more=f"{field} = True\n").replace("UCHAR", "USHORT")
    (tmp_path / "x.mha").write_bytes(text.encode() + GREY.astype(f"{order}u2").tobytes())
    np.testing.assert_array_equal(read_mask(tmp_path / "x.mha"), GREY)


def test_damaged_compressed_pixels_are_refused(tmp_path):
    """ITK takes them for whole."""
    itk.imwrite(itk.image_from_array(np.tile(GREY, (9, 9))), str(tmp_path / "x.mha"), compression=True)
    whole = (tmp_path / "x.mha").read_bytes()
    head, packed = whole.split(b"LOCAL\n")
    for wrong in (
        packed[:-9],
        packed[:20] + b"\0" + packed[21:],
        zlib.compress(bytes(45 * 63 + 1)),
        zlib.compress(bytes(9)),
    ):
        (tmp_path / "x.mha").write_bytes(head + b"LOCAL\n" + wrong)
        with pytest.raises(ValueError, match=r"x\.mha: "):
            read_mask(tmp_path / "x.mha")


def test_a_data_file_whose_name_is_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"\xe4.raw")).write_bytes(GREY.tobytes())
    (tmp_path / "x.mhd").write_bytes(MHD.format(data="DATA", more="").encode().replace(b"DATA", b"\xe4.raw"))
    np.testing.assert_array_equal(read_mask(tmp_path / "x.mhd"), GREY)


@pytest.mark.parametrize(("name", "text"), [("x.mhd", MHD), ("x.mha", MHD), ("X.NRRD", NRRD)])
def test_the_file_that_holds_the_pixels_is_known_whatever_its_name(tmp_path, name, text):
    (tmp_path / "pixels.bin").write_bytes(GREY.tobytes())
    (tmp_path / name).write_text(text.format(data="pixels.bin", more=""))
    assert data_file(tmp_path / name) == tmp_path / "pixels.bin"
    (tmp_path / name).write_text(text.format(data="../pixels.bin", more=""))
    assert data_file(tmp_path / name) is None


def test_an_image_that_is_one_file_has_no_other(tmp_path):
    itk.imwrite(itk.image_from_array(GREY), str(tmp_path / "x.mha"))
    assert data_file(tmp_path / "x.mha") is None and data_file(tmp_path / "x.png") is None
