"""Which files are slides, and when one has changed."""

from __future__ import annotations

import os
import shutil
import struct

import pytest
from scripts.slides.slide_files import check_unchanged, is_slide_name, one_per_series, slide_state


@pytest.mark.parametrize(
    ("name", "is_slide"), [("a.svs", True), ("a.OME.TIF", True), ("a.png", False), ("Slidedat.ini", False)]
)
def test_slides_are_known_by_their_suffix(name, is_slide):
    assert is_slide_name(name) is is_slide


def test_a_slide_is_another_when_it_was_written_again_and_not_when_it_was_moved(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"pixels")
    state = slide_state(tmp_path / "a.svs")
    (tmp_path / "b").mkdir()
    shutil.move(tmp_path / "a.svs", tmp_path / "b/a.svs")
    assert slide_state(tmp_path / "b/a.svs") == state
    assert slide_state(tmp_path / "b/a.svs", (0.5, 0.25)) == f"{state}, 0.5 x 0.25 µm/px"
    os.utime(tmp_path / "b/a.svs", ns=(1, 1))
    assert slide_state(tmp_path / "b/a.svs") == "6 bytes, 1 ns"


def test_what_lies_beside_a_header_counts(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.mrxs").write_bytes(b"12")
    (tmp_path / "a/Data0000.dat").write_bytes(b"345")
    assert slide_state(tmp_path / "a.mrxs").startswith("5 bytes")
    (tmp_path / "other.svs").write_bytes(b"pixels")
    assert slide_state(tmp_path / "a.mrxs").startswith("5 bytes")


def _dicom(path, series: bytes, kind: bytes) -> None:
    parts = ((0x0008, 0x0008, b"CS", kind), (0x0020, 0x000E, b"UI", series))
    elements = b"".join(struct.pack("<HH2sH", g, e, v, len(text)) + text for g, e, v, text in parts)
    path.write_bytes(b"\0" * 128 + b"DICM" + elements + b"\0" * 100)


def test_a_dicom_series_is_one_slide(tmp_path):
    for number in range(3):
        _dicom(tmp_path / f"{number}.dcm", b"1.2.3", b"ORIGINAL\\PRIMARY\\VOLUME\\NONE")
    _dicom(tmp_path / "3.dcm", b"1.2.4", b"ORIGINAL\\PRIMARY\\VOLUME\\NONE")
    _dicom(tmp_path / "4.dcm", b"1.2.5", b"ORIGINAL\\PRIMARY\\LABEL\\NONE")
    (tmp_path / "5.dcm").write_bytes(b"no DICOM")
    paths = [*sorted(tmp_path.iterdir()), tmp_path / "a.svs"]
    assert [p.name for p in one_per_series(paths)] == ["0.dcm", "3.dcm", "5.dcm", "a.svs"]


def test_a_slide_that_goes_or_changes_while_it_is_read_is_told_of(tmp_path):
    path = tmp_path / "a.mrxs"
    path.write_bytes(b"12")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/Data0000.dat").write_bytes(b"345")
    state = slide_state(path, alone=True)
    check_unchanged(path, state)
    (tmp_path / "a/Data0000.dat").write_bytes(b"3")
    with pytest.raises(OSError, match=r"a\.mrxs: has changed while it was read: found 3 bytes, .* at the start 5 bytes"):
        check_unchanged(path, state)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.mrxs: is no longer there \(No such file or directory\)"):
        check_unchanged(path, state)


def test_slides_that_come_to_a_dicom_folder_change_no_other(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"12")
    state = slide_state(tmp_path / "a.dcm", alone=True)
    (tmp_path / "b.dcm").write_bytes(b"345")
    check_unchanged(tmp_path / "a.dcm", state)
    assert slide_state(tmp_path / "a.dcm").startswith("5 bytes")
