from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from scripts.data.archives import unpack


def _zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _tar(path, members, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "/etc/passwd", len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content.encode()))
    return path


@pytest.mark.parametrize("make", [lambda p, m: _zip(p / "a.zip", m), lambda p, m: _tar(p / "a.tar.gz", m)])
def test_round_trip_enters_a_single_folder(tmp_path, make):
    archive = make(tmp_path, {"set/train/x.txt": "1", "set/y.txt": "2"})
    root = unpack(archive, tmp_path / "out")
    assert root == tmp_path / "out" / "set"
    assert (root / "train/x.txt").read_text() == "1" and (root / "y.txt").read_text() == "2"
    assert unpack(archive, tmp_path / "out") == root


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_members_stay_inside(tmp_path, name):
    for archive in (_zip(tmp_path / "a.zip", {name: "x"}), _tar(tmp_path / "a.tar.gz", {name: "x"})):
        with pytest.raises(ValueError, match="leaves the folder"):
            unpack(archive, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil.txt")) and not (tmp_path / "deep" / "out").exists()


def test_links_are_refused(tmp_path):
    with pytest.raises(ValueError, match="link"):
        unpack(_tar(tmp_path / "a.tar.gz", {"l": ""}, tarfile.SYMTYPE), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bounds_and_damage_leave_nothing(tmp_path):
    archive = _zip(tmp_path / "a.zip", {"x": "0123456789", "y": ""})
    with pytest.raises(ValueError, match="at most"):
        unpack(archive, tmp_path / "out", max_bytes=9)
    with pytest.raises(ValueError, match="at most"):
        unpack(archive, tmp_path / "out", max_files=1)
    archive.write_bytes(archive.read_bytes()[:20])
    with pytest.raises(ValueError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
