"""Tables as spreadsheets and programs save them: CSV in the usual encodings, with the usual delimiters."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Table", "read_table"]

logger = logging.getLogger(__name__)

#: Largest table in bytes.
MAX_BYTES = 2**28
_MARKS = (  # longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"PK\x03\x04", "a spreadsheet (.xlsx, .ods) or a zip"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF"),
    (b"SQLite", "a database"),
    (b"PAR1", "a Parquet file"),
)
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        path: its file.
        columns: names in the header, all different, not empty; without blanks around them.
        rows: line number in the file, and a cell per column, without blanks around it. Rows without content are left out.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]


def read_table(path: str | Path, key: str) -> Table:
    """Read a CSV file with a header.

    It is UTF-8 with or without byte order mark, UTF-16, or else Windows-1252, as spreadsheets write on Windows. Cells are
    delimited by comma, semicolon or tab and may be quoted. Passed over are a first line ``sep=;``, rows and columns without
    any content, and a first column without name that counts the rows.

    Args:
        path: the file.
        key: name of a column that must be there; by it, the delimiter is told.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a table; the message names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a table (CSV)")
    text = _text(path)
    delimiter, skip = _delimiter(text, key)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if reader.line_num > skip and any(cells):
                lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: no table ({error}); is a quotation mark missing?") from error
    header = lines[0][1] if lines else []
    if key not in [name.lower() for name in header]:
        raise ValueError(f"{path}: found header {', '.join(header)!r:.200}, expected {key!r} among its columns")
    return _checked(path, header, lines[1:])


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path}: found {size} bytes, expected a table of at most {MAX_BYTES}")
    data = path.read_bytes()
    for start, kind in _OTHERS:
        if data.startswith(start):
            raise ValueError(f"{path}: found {kind}, expected a table as text; save it as 'CSV UTF-8'")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        pairs = data[: len(data) // 2 * 2]
        zeros = pairs[::2].count(0), pairs[1::2].count(0)
        # UTF-16 without mark: every other byte of a table's letters and digits is zero
        few = max(1, len(pairs) // 8)
        encoding = "utf-16-le" if zeros[1] > few > zeros[0] else "utf-16-be" if zeros[0] > few > zeros[1] else "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValueError(f"{path}: not {encoding.upper()}, as its start says ({error}); save it as UTF-8") from error
        text = _windows(path, data)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path}, line {line}: found a zero byte, expected text; save the table as 'CSV UTF-8'")
    return text


def _windows(path: Path, data: bytes) -> str:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line}: found byte 0x{data[error.start]:02x}, which is neither UTF-8 nor Windows-1252; save the "
            "table as 'CSV UTF-8'"
        ) from None
    strange = " ".join(sorted({c for c in text if ord(c) > 127}))
    logger.info("%s: read as Windows-1252, as it is not UTF-8; its letters beyond ASCII are %s", path, strange[:80])
    return text


def _delimiter(text: str, key: str) -> tuple[str, int]:
    """Delimiter of the cells, and how many lines at the start are none of the table."""
    first = next(iter(text.lstrip("\r\n").splitlines()), "").strip().strip('"')
    said = re.fullmatch(r"sep=(.)", first, flags=re.I)
    if said or first.lower() == "sep=":  # a tab is stripped
        blank = len(text) - len(text.lstrip("\r\n"))
        return said[1] if said else "\t", len(text[:blank].splitlines()) + 1
    plain = next((line for line in re.sub(r'"[^"]*"', "", text).splitlines() if line.strip(_DELIMITERS + " ")), "")
    header = next((line for line in text.splitlines() if line.strip(_DELIMITERS + ' "')), "")

    def rank(delimiter: str) -> tuple[bool, int]:
        names = [name.strip(' "').lower() for name in header.split(delimiter)]
        return key in names, plain.count(delimiter)

    return max(_DELIMITERS, key=rank), 0


def _checked(path: Path, header: list[str], lines: list[tuple[int, list[str]]]) -> Table:
    width = max((len(cells) - next((k for k, c in enumerate(cells[::-1]) if c), 0) for _, cells in lines), default=0)
    while header and not header[-1] and len(header) > width:
        header = header[:-1]
    rows = []
    for number, cells in lines:
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise ValueError(f"{path}, line {number}: found {len(cells)} cells, expected {len(header)} as in the header")
        rows.append((number, cells[: len(header)]))
    kept = [k for k, name in enumerate(header) if name or any(cells[k] for _, cells in rows)]
    counted = [cells[0] for _, cells in rows]
    if not header[0] and counted in ([str(k) for k in range(s, s + len(rows))] for s in (0, 1)):
        kept = [k for k in kept if k]
    names = [header[k] for k in kept]
    if "" in names:
        raise ValueError(f"{path}: column {kept[names.index('')] + 1} has content and no name; name it in the header")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the column {twice[0]!r} stands twice in the header; expected different names")
    return Table(path, names, [(number, [cells[k] for k in kept]) for number, cells in rows])
