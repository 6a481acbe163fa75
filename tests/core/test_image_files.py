from __future__ import annotations

import os

import pytest
from scripts.core.image_files import image_files


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.png",
        "a.TIF",
        "notes.txt",
        "._b.png",
        ".hidden/c.png",
        "__MACOSX/d.png",
        "case1/e.nii.gz",
        "case2/f.jpg",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(files, folder):
    return [p.relative_to(folder).as_posix() for p in files]


def test_hidden_files_and_other_kinds_are_passed_over(folder):
    assert (names(image_files(folder)[0], folder), image_files(folder)[1]) == (["a.TIF", "b.png"], [])
    files, faults = image_files(folder, recursive=True)
    assert (names(files, folder), faults) == (["a.TIF", "b.png", "case1/e.nii.gz", "case2/f.jpg"], [])


def test_folders_that_are_left_out_are_not_searched(folder):
    files, _ = image_files(folder, recursive=True, leave_out=[folder / "case2"])
    assert names(files, folder) == ["a.TIF", "b.png", "case1/e.nii.gz"]


def test_links_are_followed_and_circles_end(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "g.png").touch()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder)
    (folder / "h.png").symlink_to(tmp_path / "elsewhere" / "g.png")
    files, faults = image_files(folder, recursive=True)
    assert (names(files, folder), faults) == (["a.TIF", "b.png", "case1/e.nii.gz", "case2/f.jpg", "h.png", "link/g.png"], [])


def test_what_could_not_be_looked_at_is_said(folder):
    (folder / "lost.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    files, faults = image_files(folder)
    assert names(files, folder) == ["a.TIF", "b.png"]
    assert len(faults) == 2 and "lost.png" in faults[0] and "nowhere.png" in faults[0] and "pipe.png" in faults[1]


def test_a_subfolder_that_cannot_be_read_is_said(folder, monkeypatch):
    real = os.scandir

    def scandir(path):  # rather than the rights, which do not bind the superuser
        if str(path).endswith("case1"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    files, faults = image_files(folder, recursive=True)
    assert names(files, folder) == ["a.TIF", "b.png", "case2/f.jpg"]
    assert len(faults) == 1 and "case1" in faults[0] and "Permission denied" in faults[0]


def test_a_name_that_is_not_utf_8_is_a_file_like_any_other(folder):
    with open(os.fsencode(folder) + b"/\xff.png", "wb"):
        pass
    assert len(image_files(folder)[0]) == 3


@pytest.mark.parametrize("name", ["absent", "b.png"])
def test_no_folder_is_refused(folder, name):
    with pytest.raises(OSError, match="expected a folder"):
        image_files(folder / name)
