from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from scripts.core.image_writers import write_image
from scripts.data.archives import discard_unpacking, is_archive, unpack
from scripts.data.prepare import prepare


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


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt", "c:evil.txt"])
def test_paths_of_other_systems_stay_inside(tmp_path, name):
    with pytest.raises(ValueError, match=r"a\.zip: member .* leaves the folder"):
        unpack(_zip(tmp_path / "a.zip", {name: "x"}), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


_KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


@pytest.mark.parametrize("kind", [*_KINDS, tarfile.GNUTYPE_SPARSE])
def test_members_of_a_tar_are_files_and_folders(tmp_path, kind):
    """Each guard alone: without it, a link that leads out is made and later members are written through it."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("l")
        info.type, info.linkname = kind, str(tmp_path / "secret")
        archive.addfile(info)
    with pytest.raises(ValueError, match=r"a\.tar: member 'l' is a link, device or sparse"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize(("system", "mode"), [(3, 0o120777), (0, 0o120777), (3, 0o020666), (3, 0o010666)])
def test_members_of_a_zip_are_files_and_folders(tmp_path, system, mode):
    info = zipfile.ZipInfo("l")
    info.create_system, info.external_attr = system, mode << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match=r"a\.zip: member 'l' is a link or device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a/x.png", "a/x.png"], "the same place"),
        (["a/x.png", "A/X.png"], "the same place"),
        (["u\u0308.png", "\u00fc.png"], "the same place"),
        (["a/x.png", "a/./x.png"], "the same place"),
        (["a", "a/x.png"], "needs a folder"),
        (["a/x.png", "a"], "needs a folder"),
        (["x" * 256 + ".png"], "no file can have"),
        (["a/" + "\u00fc" * 128], "no file can have"),
        ([".archive.sha256"], "kept for"),
    ],
)
def test_members_that_are_in_each_others_way_or_have_no_name(tmp_path, names, says):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    for archive in ("a.zip", "a.tar"):
        with pytest.raises(ValueError, match=f"{archive}: member.*{says}"):
            unpack(tmp_path / archive, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "a.zip"]


def _patched(path, old, new):
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new))
    return path


def test_what_decoders_raise_is_one_error_that_names_the_archive(tmp_path):
    """Password, unknown compression, wrong checksum, sizes that lie, a name with a zero byte, a cut end."""
    body = "0123456789" * 50

    def fresh(name="x.txt"):
        return _zip(tmp_path / "a.zip", {name: body})

    size = struct.pack("<I", len(body))
    cases = [
        (_patched, (b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"), "password"),
        (_patched, (b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63\x00"), "damaged"),
        (_patched, (b"0123456789" * 2, b"0123456780" * 2), "damaged archive .Bad CRC"),
        (_patched, (size, struct.pack("<I", 3 * len(body))), "damaged"),
        (_patched, (size, struct.pack("<I", 10)), "damaged"),
        (_patched, (b"x.txt", b"x\0txt"), "no file can have"),
        (lambda path, cut: path.write_bytes(path.read_bytes()[:cut]), (60,), "damaged"),
    ]  # fmt: skip
    for damage, arguments, says in cases:
        damage(fresh(), *arguments)
        with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.zip: .*{says}"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
        assert [p.name for p in tmp_path.iterdir()] == ["a.zip"], says


def _header(size: bytes, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo("x").tobuf()
    info = info[:124] + size + info[136:156] + kind + info[157:]
    return info[:148] + b"%06o\0 " % (sum(info[:148]) + sum(info[156:512]) + 256) + info[156:]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("header", "says"),
    [
        (_header((-512).to_bytes(12, "big", signed=True)), "size of -512"),
        (_header((2**60 | 1 << 95).to_bytes(12, "big")), "at most"),
        (_header(b"00010000000\0"), "damaged"),  # the content is missing
        (_header(b"77777777777\0", b"x"), "damaged archive .a header of 8589934"),  # 8 GiB to be read at once
        (_header(b"77777777777\0", b"L"), "damaged archive .a header of 8589934"),
        (b"no archive" * 100, "damaged"),
        (_header(b"00000000000\0") + b"junk" * 128, "no header and no end at byte 512"),
        (_header(b"00000000000\0") + _header(b"00000000000\0")[:300], "damaged"),
        (b"", "damaged|no file"),
    ],
)
def test_a_tar_whose_header_lies(tmp_path, header, says, packed):
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(header + bytes(1024)) if packed else header + bytes(1024) * bool(header))
    if len(header) == 812:
        path.write_bytes(gzip.compress(header) if packed else header)
    with pytest.raises(ValueError, match=rf"^{path}: .*{says}"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_checksums_of_gzip_count(tmp_path):
    """Of the content too, which a tar has none for."""
    content = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes().hex()
    path = _tar(tmp_path / "a.tar.gz", {"x": content})
    whole = path.read_bytes()
    for position in (len(whole) // 2, len(whole) - 6, len(whole) - 2):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ValueError, match=r"a\.tar\.gz: damaged archive"):
            unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_another_archive_of_the_same_name_is_unpacked_anew(tmp_path):
    archive = _zip(tmp_path / "a.zip", {"x": "1", "only": ""})
    unpack(archive, tmp_path / "out")
    (tmp_path / ".out-unpacking-killed" / "set").mkdir(parents=True)
    _zip(archive, {"x": "2"})
    assert (unpack(archive, tmp_path / "out") / "x").read_text() == "2"
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".archive.sha256", "a.zip", "out", "x"]


def test_folders_that_are_not_from_an_archive_are_left(tmp_path):
    archive = _zip(tmp_path / "a.zip", {"x": "1"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(FileExistsError, match="move it away"):
        unpack(archive, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
    (tmp_path / "folder.zip").mkdir()
    assert is_archive("b.TGZ") and is_archive(archive) and not is_archive(tmp_path / "folder.zip")


def test_what_killed_processes_left_goes(tmp_path):
    for name in (".out-unpacking-ab12", ".out-unpacking-cd34", ".output-unpacking-ab12", "out"):
        (tmp_path / name / "deep").mkdir(parents=True)
    discard_unpacking(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".output-unpacking-ab12", "out"]
    discard_unpacking(tmp_path / "absent" / "out")


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


def test_litter_goes_at_the_next_start_of_a_preparation(tmp_path):
    """Also where nothing is unpacked any more."""
    for k in range(2):
        write_image(tmp_path / f"raw/p{k}[1 0].png", np.full((16, 16, 3), k, np.uint8))
    shutil.make_archive(str(tmp_path / "raw"), "zip", tmp_path / "raw")
    for _ in range(2):
        (tmp_path / ".set-source-unpacking-ab12" / "deep").mkdir(parents=True)
        prepare(tmp_path / "raw.zip", tmp_path / "set", {"classes": ["a", "b"]}, "patches", progress=False)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["raw", "raw.zip", "set", "set-source"]


@pytest.mark.parametrize("others", [("README.txt",), ("Thumbs.db", ".DS_Store", "__MACOSX/._set"), ("LICENSE", "docs.pdf")])
def test_a_single_folder_is_entered_whatever_lies_beside_it(tmp_path, others):
    archive = _zip(tmp_path / "a.zip", {"set/x.png": "1", **dict.fromkeys(others, "2")})
    assert unpack(archive, tmp_path / "out") == tmp_path / "out/set"


@pytest.mark.parametrize("other", ["labels.csv", "y.PNG", "datalist.json", "more/z.txt"])
def test_a_folder_beside_data_is_not_entered(tmp_path, other):
    archive = _zip(tmp_path / "a.zip", {"set/x.png": "1", other: "2"})
    assert unpack(archive, tmp_path / "out") == tmp_path / "out"


def test_folders_that_windows_spells(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("set\\", "set\\x.txt"):
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            archive.writestr(info, "" if name.endswith("\\") else "1")
    assert (unpack(tmp_path / "a.zip", tmp_path / "out") / "x.txt").read_text() == "1"
