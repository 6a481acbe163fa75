from __future__ import annotations

import logging
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from scripts.core.facts import load_facts
from scripts.core.image_writers import write_image
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare

GREY = np.full((16, 16, 3), 90, np.uint8)


def _write(folder, names):
    for k, name in enumerate(names):
        write_image(folder / name, GREY + k)
    return folder


def _prepare(tmp_path, source, **settings):
    settings = {"dataset": {"classes": ["a", "b"]}, "layout": "patches", "val_fraction": 0.3, **settings}
    prepare(source, tmp_path / "set", progress=False, **settings)
    return _labels(tmp_path)


def _labels(tmp_path):
    entries = [e for s in ("training", "validation") for e in read_datalist(tmp_path / "set", s, ("image",)) if "label" in e]
    return {os.path.relpath(e["image"], tmp_path / "raw"): e["label"] for e in entries}


def _table(tmp_path, lines, encoding="utf-8"):
    (tmp_path / "raw" / "labels.csv").write_bytes("\n".join(["image,a,b", *lines]).encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_with_umlauts(tmp_path, encoding, form):
    """As Windows writes them into the table and macOS into the folder."""
    names = [unicodedata.normalize(form, name) for name in ("grün_1.png", "groß/ä.png", "p.png")]
    _write(tmp_path / "raw", names)
    _table(tmp_path, ["grün_1.png,1,0", "groß\\ä.png,0,1", "p.png,1,1"], encoding)
    assert _prepare(tmp_path, tmp_path / "raw") == dict(zip(names, ([1, 0], [0, 1], [1, 1]), strict=True))


def test_patches_in_subfolders_are_found_by_path_or_name(tmp_path):
    _write(tmp_path / "raw", ["c1/p.png", "c1/q.png", "c2/p.png", "val/img/v.png"])
    _table(tmp_path, ["c1/p.png,1,0", "q.png,0,1", "c2/p.png,1,1"])
    assert _prepare(tmp_path, tmp_path / "raw") == {"c1/p.png": [1, 0], "c1/q.png": [0, 1], "c2/p.png": [1, 1]}
    _table(tmp_path, ["p.png,1,0"])
    with pytest.raises(ValueError, match=r"line 2: 'p.png' may be .*c1/p\.png or .*c2/p\.png; write the path below"):
        _prepare(tmp_path, tmp_path / "raw", overwrite=True)


@pytest.mark.parametrize("again", ["p.png", "./p.png", "../raw/p.png", "link.png", "sub/../p.png"])
def test_an_image_that_is_listed_twice(tmp_path, again, caplog):
    """Under the same name, another spelling of its path, or a link to it."""
    caplog.set_level(logging.INFO)
    _write(tmp_path / "raw", ["p.png", "q.png", "sub/r.png"])
    (tmp_path / "raw" / "link.png").symlink_to("p.png")
    _table(tmp_path, ["p.png,1,0", "q.png,1,0", f"{again},0,1"])
    with pytest.raises(ValueError, match=r"line 4: .* listed twice, as label \[0, 1\] here and as label \[1, 0\] in line 2"):
        _prepare(tmp_path, tmp_path / "raw")
    _table(tmp_path, ["p.png,1,0", "q.png,1,0", f"{again},1,0"])
    assert _prepare(tmp_path, tmp_path / "raw") == {"p.png": [1, 0], "q.png": [1, 0]}
    assert "1 rows list a patch once more" in caplog.text
    assert "lists 2 of 3 images, left out are r.png" in caplog.text.replace("3 of 4", "2 of 3")


def test_labels_of_a_table_and_of_names_that_differ_are_said(tmp_path, caplog):
    """The table counts: it may have been corrected; but then one of them is wrong, or its columns are swapped."""
    _write(tmp_path / "raw", ["c1_p[1 0].png", "c2_q[01].png", "c3_r[1 0 0].png", "c4_s.png"])
    rows = ["c1_p[1 0].png,0,1", "c2_q[01].png,0,1", "c3_r[1 0 0].png,1,0", "c4_s.png,1,0"]
    _table(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        assert _prepare(tmp_path, tmp_path / "raw")["c1_p[1 0].png"] == [0, 1]
    says = "says other labels than the names of 1 of 2 patches, the first is c1_p[1 0].png: [0, 1] in the table, [1, 0]"
    assert says in caplog.text
    caplog.clear()
    _table(tmp_path, ["c1_p[1 0].png,1,0", *rows[1:]])
    with caplog.at_level(logging.WARNING):
        _prepare(tmp_path, tmp_path / "raw", overwrite=True)
    assert "other labels" not in caplog.text


def test_images_that_are_listed_and_not_there(tmp_path):
    _write(tmp_path / "raw", ["p.png"])
    _table(tmp_path, ["p.png,1,0", "q.png,0,1", "r.png,0,1", "../../etc/passwd,1,0"])
    with pytest.raises(
        FileNotFoundError, match=r"labels\.csv, line 3: lists 'q\.png' \(and 2 others\), which is neither in"
    ):
        _prepare(tmp_path, tmp_path / "raw")
    (tmp_path / "out.png").write_bytes((tmp_path / "raw/p.png").read_bytes())
    _table(tmp_path, ["../out.png,1,0"])
    with pytest.raises(ValueError, match=r"line 2: '\.\./out\.png' leaves the folder"):
        _prepare(tmp_path, tmp_path / "raw")
    _table(tmp_path, ["p.png,1,0", "p" * 100_000 + ".png,1,0"])
    with pytest.raises(FileNotFoundError, match="line 3") as error:
        _prepare(tmp_path, tmp_path / "raw")
    assert len(str(error.value)) < 600 and [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["raw"]


def test_names_without_labels_are_counted(tmp_path):
    _write(tmp_path / "raw", ["p[1 0].png", "q.png", "r[1].png"])
    with pytest.raises(ValueError, match=r"q\.png: found no label .*; so have 1 others of 3 images"):
        _prepare(tmp_path, tmp_path / "raw")


@pytest.mark.parametrize("tabled", [False, True])
def test_what_is_no_patch(tmp_path, tabled):
    """What systems leave beside files is passed over, what cannot be read or named is skipped and said."""
    raw = _write(tmp_path / "raw", ["p0[1 0].png", "p1[0 1].png", "sub/p2[0 1].png", "set/old[1 0].png"])
    (raw / "._p0[1 0].png").write_bytes(b"Mac OS X")
    (raw / "__MACOSX").mkdir()
    shutil.copy(raw / "p0[1 0].png", raw / "__MACOSX/p3[1 0].png")
    (raw / "lost[1 0].png").symlink_to("nowhere.png")
    os.link(raw / "p0[1 0].png", os.fsencode(raw) + b"/gr\xfcn[1 0].png")
    if tabled:
        _table(tmp_path, ["p0[1 0].png,1,0", "p1[0 1].png,0,1", "sub/p2[0 1].png,0,1"])
    with pytest.raises(SystemExit) as error:
        prepare(raw, raw / "set", {"classes": ["a", "b"]}, "patches", progress=False, val_fraction=0.3)
    assert "2 files were skipped" in str(error.value)
    assert "lost[1 0].png: a link to nowhere.png, which does not exist" in str(error.value)
    assert "gr\\xfcn[1 0].png: its name is not UTF-8; rename it" in str(error.value)
    entries = [e for s in ("training", "validation") for e in read_datalist(raw / "set", s)]
    assert sorted(Path(e["image"]).name for e in entries) == ["p0[1 0].png", "p1[0 1].png", "p2[0 1].png"]


def test_what_macos_leaves_is_no_patch(tmp_path):
    case = SHARED / "cases" / "._p0[1 0].png"
    if not case.is_file():
        pytest.skip("the case is not at hand")
    raw = _write(tmp_path / "raw", ["p0[1 0].png", "p1[0 1].png"])
    shutil.copy(case, raw)
    assert sorted(_prepare(tmp_path, raw)) == ["p0[1 0].png", "p1[0 1].png"]


def test_patches_that_are_links_out_of_the_dataset(tmp_path):
    _write(tmp_path / "store", ["0.png", "1.png"])
    (tmp_path / "raw").mkdir()
    for k in range(2):
        (tmp_path / f"raw/p{k}[1 0].png").symlink_to(tmp_path / f"store/{k}.png")
    prepare(tmp_path / "raw", tmp_path / "raw", {"classes": ["a", "b"]}, "patches", progress=False)
    assert [e["label"] for s in ("training", "validation") for e in read_datalist(tmp_path / "raw", s)] == [[1, 0]] * 2


@pytest.mark.parametrize(
    ("cells", "given", "facts", "entries", "warned"),
    [
        (("0.5", "0.5"), None, 0.5, {None}, False),
        (("0.5", "0.5"), 0.5, 0.5, {None}, False),
        (("0.5", "1"), None, None, {0.5, 1.0}, True),
        (("0.5", ""), None, None, {0.5, None}, True),
        (("0.5", "0.5"), 1.0, 1.0, {0.5}, True),
    ],
)
def test_micrometres_per_pixel_of_a_table(tmp_path, caplog, cells, given, facts, entries, warned):
    _write(tmp_path / "raw", ["p0.png", "p1.png"])
    (tmp_path / "raw/labels.csv").write_text(f"image,a,b,mpp\np0.png,1,0,{cells[0]}\np1.png,0,1,{cells[1]}\n")
    _prepare(tmp_path, tmp_path / "raw", dataset={"classes": ["a", "b"], "mpp": given} if given else {})
    assert load_facts(tmp_path / "set").mpp == facts
    both = [e for s in ("training", "validation") for e in read_datalist(tmp_path / "set", s)]
    assert {e.get("mpp") for e in both} == entries
    assert ("are not resampled to one" in caplog.text) is warned


def test_a_name_that_is_both_beside_the_table_and_in_the_source_is_refused(tmp_path):
    raw = _write(tmp_path / "raw", ["p0_1.png", "p1_1.png"])
    _write(tmp_path / "thumbnails", ["p1_1.png", "p0_1.png"])
    table = tmp_path / "thumbnails" / "labels.csv"
    table.write_text("image,a,b\np0_1.png,1,0\np1_1.png,0,1\n")
    with pytest.raises(ValueError, match=r"'p0_1\.png' may be .*raw/p0_1\.png or .*thumbnails/p0_1\.png"):
        _prepare(tmp_path, raw, labels=str(table))
