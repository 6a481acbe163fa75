from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SHARED
from scripts.data.labels import labels_from_csv
from scripts.data.tables import read_table

ROWS = [(2, ["grün.png", "1", "0"]), (3, ["q.png", "0", "1"])]
TEXT = "image;Tumor;Drüse\ngrün.png;1;0\nq.png;0;1\n"


def _write(tmp_path, content):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, encoding, ends):
    table = read_table(_write(tmp_path, TEXT.replace("\n", ends).encode(encoding)), "image")
    assert (table.columns, table.rows) == (["image", "Tumor", "Drüse"], ROWS)


def test_big_endian_with_mark(tmp_path):
    table = read_table(_write(tmp_path, b"\xfe\xff" + TEXT.encode("utf-16-be")), "image")
    assert (table.columns, table.rows) == (["image", "Tumor", "Drüse"], ROWS)


def test_a_table_saved_on_windows():
    path = SHARED / "cases" / "labels_cp1252.csv"
    if not path.is_file():
        pytest.skip("the case is not at hand")
    assert labels_from_csv(path) == (["Tumor", "Drüse"], [{"image": "p0.png", "line": 2, "label": [1, 0]}])


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + TEXT,
        '"sep=;"\r\n' + TEXT,
        "sep=\t\n" + TEXT.replace(";", "\t"),
        "sep=;\r" + TEXT.replace("\n", "\r"),
        TEXT.replace(";", ","),
        TEXT.replace(";", "\t"),
        TEXT.replace(";", ";;").replace("\n", ";;\n"),
        "\n \n;;\n" + TEXT.replace("\n", "\n\n"),
        TEXT.replace("q.png", "  q.png ").replace("Tumor", " Tumor "),
        '"image";"Tumor";"Drüse"\n"grün.png";"1";"0"\n"q.png";0;1\n',
        ";image;Tumor;Drüse\n0;grün.png;1;0\n1;q.png;0;1\n",
        TEXT.rstrip() + "\n;;\n",
    ],
)
def test_what_spreadsheets_add(tmp_path, text):
    table = read_table(_write(tmp_path, text), "image")
    assert table.columns == ["image", "Tumor", "Drüse"] and [cells for _, cells in table.rows] == [c for _, c in ROWS]


@pytest.mark.parametrize(("header", "names"), [("Image", ["Image", "a"]), (" IMAGE ", ["IMAGE", "a"])])
def test_case_and_blanks_of_the_header(tmp_path, header, names):
    assert read_table(_write(tmp_path, f"{header},a\np,1\n"), "image").columns == names


def test_quoted_cells_hold_delimiters(tmp_path):
    table = read_table(_write(tmp_path, 'image,"Tumor; invasive, high",b\n"p, 1.png",1,0\n'), "image")
    assert table.columns == ["image", "Tumor; invasive, high", "b"] and table.rows == [(2, ["p, 1.png", "1", "0"])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(40), "found a spreadsheet"),
        (b"\xd0\xcf\x11\xe0" + bytes(40), "old spreadsheet"),
        (b"image,a\np\x81.png,1\n", "line 2: found byte 0x81, which is neither"),
        (b"\xff\xfe" + "image,a\n".encode("utf-16-le") + b"x", "not UTF-16"),
        ("image,a\np.png\0,1\n", "line 2: found a zero byte"),
        ("image,a\n" + "p" * 200_000 + ",1\n", "line 2: no table .field larger than field limit"),
        ('image,a\n"p.png,1\nq.png,0\n', "is a quotation mark missing"),
        ("image,a,a\np,1,0\n", "the column 'a' stands twice"),
        ("image,,a\np,1,0\n", "column 2 has content and no name"),
        ("image,a\np,1,0\n", "line 2: found 3 cells, expected 2"),
        ("", "expected 'image'"),
        (bytes(100), "zero byte"),
    ],
)
def test_what_is_no_table(tmp_path, content, says):
    with pytest.raises(ValueError, match=says) as error:
        read_table(_write(tmp_path, content), "image")
    assert str(error.value).startswith(str(tmp_path / "labels.csv")) and len(str(error.value)) < 400


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        read_table(Path(tmp_path / "absent.csv"), "image")
