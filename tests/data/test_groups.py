from __future__ import annotations

import logging

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.datalist import read_datalist
from scripts.data.groups import compiled
from scripts.data.prepare import prepare

GREY = np.full((16, 16, 3), 90, np.uint8)


def _patches(folder, names, labels=("1 0", "0 1")):
    for k, name in enumerate(names):
        write_image(folder / f"{name}[{labels[k % 2]}].png", GREY + k)
    return folder


def _prepare(tmp_path, source, **settings):
    settings = {"dataset": {"classes": ["a", "b"]}, "layout": "patches", "val_fraction": 0.3, **settings}
    prepare(source, tmp_path / "set", progress=False, **settings)
    return {name: read_datalist(tmp_path / "set", name, ("image",)) for name in ("training", "validation", "test")}


def _groups(entries):
    return {e["group"] for e in entries}


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"103{i}-2300-{y}-" for i in range(4) for y in (0, 99)], {"1030", "1031", "1032", "1033"}),
        ([f"TCGA-A1-A0S{k}-DX1_xmin5_ymin2_MPP-0.2500+{i}" for k in "KPQ" for i in range(3)],
         {"TCGA-A1-A0SK", "TCGA-A1-A0SP", "TCGA-A1-A0SQ"}),
        ([f"case{i}_x{x}_y0" for i in range(3) for x in (0, 400)], {"case0", "case1", "case2"}),
        ([f"{case}/img{i}" for case in ("ann", "bob", "eve") for i in range(2)], {"ann", "bob", "eve"}),
        ([f"all/{case}/s{i}/p" for case in ("ann", "bob", "eve") for i in range(2)], {"ann", "bob", "eve"}),
        ([f"{tissue}/case{i}_x{x}_y0" for i, tissue in enumerate("abab") for x in (0, 400)],
         {"case0", "case1", "case2", "case3"}),
    ],
)  # fmt: skip
def test_a_case_is_on_one_side(tmp_path, names, groups):
    """Of both published sets, other names, subfolders for each case (but not for each tissue)."""
    sections = _prepare(tmp_path, _patches(tmp_path / "raw", names))
    training, validation = _groups(sections["training"]), _groups(sections["validation"])
    assert training | validation == groups and not training & validation and validation
    assert sum(map(len, sections.values())) == len(names)


@pytest.mark.parametrize("pattern", [r"(s\d)/", r"/(?P<group>[^_]+)_", r"s\d", r"(?P<other>x)?(?P<group>s\d)", r"^raw-(.)"])
def test_a_pattern_goes_before_all(tmp_path, pattern):
    names = [f"c{c}/s{s}/raw-{s}_{i}" for c in range(2) for s in range(3) for i in range(2)]
    sections = _prepare(tmp_path, _patches(tmp_path / "raw", names), group=pattern)
    groups = [_groups(sections[name]) for name in ("training", "validation")]
    assert len(groups[0] | groups[1]) == 3 and not groups[0] & groups[1]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", r"prepare#group: found '\(', expected a regular expression"),
        (7, "expected a regular expression"),
        ("(a)(b)", r"has 2 groups; name the one that tells the slide: \(\?P<group>"),
        (r"(case\d)_", r"finds nothing in 2 of 6 training patches, the first is other0_0\[0 1\]\.png"),
        ("()", "finds nothing in 6 of 6"),
    ],
)
def test_patterns_that_do_not_fit(tmp_path, pattern, says):
    names = [f"{case}_{i}" for case in ("case0", "case1", "other0") for i in range(2)]
    source = _patches(tmp_path / "raw", names, ("0 1", "1 0"))
    with pytest.raises(ValueError, match=says):
        _prepare(tmp_path, source, group=pattern)
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]
    assert compiled(None) is None


def _table(folder, text, count=8):
    for i in range(count):
        write_image(folder / f"p{i}.png", GREY + i)
    (folder / "labels.csv").write_text(text)
    return folder


def test_a_column_tells_groups_and_regions(tmp_path):
    rows = [f"p{i}.png,{i % 2},{1 - i % 2},{i // 3},s{i % 2},{8 * i},0" for i in range(8)]
    source = _table(tmp_path / "raw", "\n".join(["image,a,b,patient,slide,x,y", *rows]))
    sections = _prepare(tmp_path, source, dataset={})
    both = sections["training"] + sections["validation"]
    assert {e["name"]: e["group"] for e in both} == {f"p{i}": str(i // 3) for i in range(8)}
    assert {e["name"]: (e["region"], e["position"]) for e in both} == {f"p{i}": (f"s{i % 2}", [0, 8 * i]) for i in range(8)}
    assert not _groups(sections["training"]) & _groups(sections["validation"])


def test_a_position_without_a_group_is_not_counted_in_the_patients_other_slide(tmp_path):
    names = [f"case{c}_slide{s}_p{i}" for c in range(3) for s in range(2) for i in range(2)]
    rows = [f"{name}.png,1,0,{name[-1]} 0" for name in names]
    for name in names:
        write_image(tmp_path / "raw" / f"{name}.png", GREY)
    (tmp_path / "raw/labels.csv").write_text("\n".join(["image,a,b,position", *rows]))
    sections = _prepare(tmp_path, tmp_path / "raw")
    both = sections["training"] + sections["validation"]
    assert all(e["group"] == e["name"][:5] and e["region"].startswith(e["name"][:12]) for e in both)


def test_positions_in_names_count_where_pixels_do_not_contradict(tmp_path, rng, caplog):
    """Names may count px of another magnification: then patches that overlap by them show different tissue."""
    whole = rng.integers(0, 255, (16, 64, 3), dtype=np.uint8)
    for scale in (1, 4):
        folder = tmp_path / f"raw{scale}"
        for i in range(4):
            for x in range(0, 49, 8):
                write_image(folder / f"slide{i}_x{x // scale}_y0[1 0].png", np.roll(whole, i, 1)[:, x : x + 16])
        caplog.clear()
        sections = _prepare(tmp_path / f"out{scale}", folder)
        placed = [e for e in sections["training"] if "position" in e]
        assert len(placed) == (len(sections["training"]) if scale == 1 else 0)
        assert all(e["position"] == [0, int(e["image"].split("_x")[1].split("_")[0])] for e in placed)
        assert ("are not used: patches that overlap" in caplog.text) is (scale == 4)
        assert not any("region" in e or "spelt" in e for e in sections["training"])


def test_what_cannot_be_told_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    _prepare(tmp_path / "a", _patches(tmp_path / "a/raw", [f"img_{i}" for i in range(6)]))
    assert "6 training patches of 6 groups, by names" in caplog.text
    assert "tell no slide or case, each is a group of its own" in caplog.text
    assert "give a column 'group', a subfolder for each slide or case, or --prepare" in caplog.text
    caplog.clear()
    sections = _prepare(tmp_path / "b", _patches(tmp_path / "b/raw", [f"case1_x{i}0_y0" for i in range(6)]))
    assert len(sections["training"]) == 6 and not sections["validation"]
    assert "nothing is held out to validate on: all 6 patches are of one group, 'case1'" in caplog.text


@pytest.mark.parametrize(("other", "warned"), [("s2", False), ("s1", True)])
def test_groups_in_several_sections_are_said(tmp_path, caplog, other, warned):
    source = _patches(tmp_path / "raw/train", ["s0-0-0", "s1-0-0"])
    for section, name in (("val", "s3-1-1"), ("test", f"{other}-1-1")):
        write_image(source.parent / section / "img" / f"{name}.png", GREY)
    _prepare(tmp_path, source.parent)
    assert ("groups that stand both in training and in test: 1 (s1)" in caplog.text) is warned


@pytest.mark.parametrize("group", [None, r"_(\w)$"])
def test_regions_of_a_case_are_on_one_side(tmp_path, group):
    """Patches are still counted in px of their own region."""
    for case in range(6):
        for letter in "ab":
            name, mask = f"case{case}_roi{letter == 'b':d}_{letter}", np.full((16, 24), case % 2)
            write_image(tmp_path / f"raw/images/{name}.png", np.full((16, 24, 3), 90, np.uint8))
            write_mask(tmp_path / f"raw/masks/{name}.png", mask, DatasetFacts(classes=("a", "b")))
    if group:
        with pytest.raises(ValueError, match=r"prepare#group: 'x' finds nothing in 12 of 12 regions"):
            _prepare(tmp_path, tmp_path / "raw", layout="rois", patch_size=16, group="x")
        sections = _prepare(tmp_path, tmp_path / "raw", layout="rois", patch_size=16, group=group)
        assert _groups(sections["training"]) == {"a", "b"}  # too few to hold one out
    else:
        sections = _prepare(tmp_path, tmp_path / "raw", layout="rois", patch_size=16)
        held = [_groups(sections[name]) for name in ("training", "validation", "test")]
        assert held[0] | held[1] | held[2] == {f"case{i}" for i in range(6)} and sum(map(len, held)) == 6
    assert all(e["name"].startswith(e["region"] + "-") and e["position"][0] == 0 for e in sections["training"])
