from __future__ import annotations

import os
import shutil

import pytest
from scripts.core import file_states
from scripts.core.file_states import FileStates


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for name in ("x.png", "y.png", "labels.csv"):
        (folder / name).write_text(name)
        os.utime(folder / name, ns=(10**18, 10**18))  # long ago
    return sorted(folder.iterdir())


def read(monkeypatch) -> list[str]:
    """Names of the files whose content is read from now on."""
    names = []
    real = file_states.file_sha256
    monkeypatch.setattr(file_states, "file_sha256", lambda path: (names.append(path.name), real(path))[1])
    return names


def test_content_counts_even_where_size_and_name_are_the_same(files):
    before = FileStates().digest(files)
    files[0].write_text("lebals.csv")
    assert FileStates().digest(files) != before


def test_no_folder_is_made_for_the_index(files, tmp_path):
    index = tmp_path / "out/states.json"
    FileStates(index).digest(files)
    assert not index.parent.exists()
    index.parent.mkdir()
    FileStates(index).digest(files)
    assert index.is_file()


def test_neither_time_nor_folder_counts_but_names_may(files, tmp_path):
    before = FileStates().digest(files), FileStates().digest(files, base=tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copies = [tmp_path / "b" / p.name for p in files]
    os.utime(copies[0], ns=(2 * 10**18, 2 * 10**18))
    assert (FileStates().digest(copies), FileStates().digest(copies, base=tmp_path / "b")) == before
    renamed = copies[1].rename(tmp_path / "b" / "w.png")
    moved = [copies[0], renamed, copies[2]]
    assert FileStates().digest(moved) == before[0]
    assert FileStates().digest(moved, base=tmp_path / "b") != before[1]


def test_unchanged_files_are_read_once_and_changed_ones_again(files, tmp_path, monkeypatch):
    names = read(monkeypatch)
    first = FileStates(tmp_path / "index.json").digest(files)
    assert sorted(names) == ["labels.csv", "x.png", "y.png"]
    assert FileStates(tmp_path / "index.json").digest(files) == first and len(names) == 3
    files[1].write_text("z.png")
    os.utime(files[1], ns=(10**18 + 1, 10**18 + 1))
    assert FileStates(tmp_path / "index.json").digest(files) != first and names[3:] == ["x.png"]


def test_a_file_written_just_now_is_not_trusted_by_its_time(files, tmp_path, monkeypatch):
    files[0].write_text("0,1")
    names = read(monkeypatch)
    first = FileStates(tmp_path / "index.json").digest(files[:1])
    time = files[0].stat().st_mtime_ns
    files[0].write_text("1,0")  # within the resolution of a coarse clock
    os.utime(files[0], ns=(time, time))
    assert FileStates(tmp_path / "index.json").digest(files[:1]) != first and len(names) == 2


def test_other_content_of_the_same_size_and_time_is_seen_long_after_too(files, tmp_path):
    """As when masks of uncompressed pixels are unpacked anew from an archive whose times are all the same."""
    before = FileStates(tmp_path / "index.json").digest(files)
    stamp = files[1].stat()
    files[1].write_text("z.png")
    os.utime(files[1], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert files[1].stat().st_size == stamp.st_size and files[1].stat().st_mtime_ns == stamp.st_mtime_ns
    assert FileStates(tmp_path / "index.json").digest(files) != before


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', "[" * 100_000])
def test_a_damaged_index_costs_time_and_nothing_else(files, tmp_path, content):
    expected = FileStates().digest(files)
    (tmp_path / "index.json").write_text(content)
    assert FileStates(tmp_path / "index.json").digest(files) == expected


def test_an_absent_file_counts_as_absent(files, tmp_path):
    before = FileStates().digest(files)
    files[2].unlink()
    assert FileStates().digest(files) not in (before, FileStates().digest(files[:2]))


def test_a_file_that_was_changed_and_got_its_time_back_is_read_again(files, tmp_path):
    first = FileStates(tmp_path / "index.json").digest(files)
    files[0].write_text("lebals.csv")
    os.utime(files[0], ns=(10**18, 10**18))
    assert FileStates(tmp_path / "index.json").digest(files) != first


@pytest.mark.parametrize(
    ("name", "header"),
    [("m.mhd", "NDims = 2\nElementDataFile = pixels.bin\n"), ("m.nrrd", "NRRD0004\ndata file: pixels.bin\n\n")],
)
def test_pixels_in_another_file_than_the_header_count(tmp_path, name, header):
    (tmp_path / name).write_text(header)
    (tmp_path / "pixels.bin").write_bytes(bytes(9))
    first = FileStates(tmp_path / "index.json").digest([tmp_path / name])
    assert FileStates(tmp_path / "index.json").digest([tmp_path / name]) == first
    (tmp_path / "pixels.bin").write_bytes(b"1" + bytes(8))
    assert FileStates(tmp_path / "index.json").digest([tmp_path / name]) != first
