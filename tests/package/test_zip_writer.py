from __future__ import annotations

import hashlib
import os
import zipfile

import pytest
from scripts.package.zip_writer import SUMS, write_zip


@pytest.fixture
def content(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"\0" * 1000)
    return {"models/w.pt": tmp_path / "w.pt", "LICENSE": b"terms", "a/b.txt": "ä".encode()}


def test_a_zip_holds_the_files_in_one_folder_and_their_digests(content, tmp_path):
    with zipfile.ZipFile(write_zip(tmp_path / "out/p.zip", "p", content)) as archive:
        assert archive.namelist() == ["p/LICENSE", f"p/{SUMS}", "p/a/b.txt", "p/models/w.pt"]
        assert archive.read("p/models/w.pt") == b"\0" * 1000 and archive.read("p/a/b.txt").decode() == "ä"
        lines = archive.read(f"p/{SUMS}").decode().splitlines()
        assert [line.split("  ") for line in lines] == [
            [hashlib.sha256(archive.read(f"p/{name}")).hexdigest(), name] for name in ("LICENSE", "a/b.txt", "models/w.pt")
        ]
        assert {i.external_attr >> 16 for i in archive.infolist()} == {0o644}


def test_bytes_depend_on_the_content_alone(content, tmp_path):
    first = write_zip(tmp_path / "first.zip", "p", content).read_bytes()
    os.utime(tmp_path / "w.pt", (1e9, 1e9))
    os.chmod(tmp_path / "w.pt", 0o600)
    assert write_zip(tmp_path / "second.zip", "p", dict(reversed(content.items()))).read_bytes() == first
    assert write_zip(tmp_path / "third.zip", "p", {**content, "LICENSE": b"other"}).read_bytes() != first


def test_a_zip_is_written_again_only_as_it_is(content, tmp_path):
    path = write_zip(tmp_path / "p.zip", "p", content)
    before = path.read_bytes()
    write_zip(path, "p", content)
    with pytest.raises(ValueError, match=r"p\.zip: is there already, with other content; give this one another version"):
        write_zip(path, "p", {**content, "LICENSE": b"other"})
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["p.zip", "w.pt"]
