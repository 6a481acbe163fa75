"""Slides that cannot be segmented, or not all of them: one clear line each, nothing half-written, the rest goes on."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from made_slides import damage, stained, write_slide
from scripts.slides.label_rows import NOT_SEGMENTED
from slide_runs import ALL, BACKENDS, label_map, written


def test_each_bad_slide_is_a_line_and_the_rest_is_done(tmp_path, cohort):
    source = tmp_path / "in"
    source.mkdir()
    image = stained()
    write_slide(source / "a.tif", image)
    write_slide(source / "no_size.tif", image, mpp=None)
    write_slide(source / "screen.tif", image, mpp=None, resolution=(72, 72), resolutionunit="inch")
    write_slide(source / "absurd.tif", image, mpp=100)
    whole = (source / "a.tif").read_bytes()
    (source / "cut.tif").write_bytes(whole[: len(whole) // 2])
    (source / "empty.svs").touch()
    (source / "text.svs").write_text("not a slide")
    expected = {
        "absurd.tif": "100 µm/px which no slide has (expected 0.05 to 20); say it by the column mpp of the CSV, or by --mpp",
        "cut.tif": "copy it anew",
        "empty.svs": "is empty, expected a slide",
        "no_size.tif": "does not say its µm/px; say it by the column mpp of the CSV, or by --mpp",
        "screen.tif": "72 px per inch, which no slide has",
        "text.svs": "is not a slide",
    }
    for again in (False, True):
        with pytest.raises(SystemExit) as stop:
            cohort(source)
        first, *lines = str(stop.value).splitlines()
        assert first == "6 slides were not segmented:" and len(lines) == 6
        for line, (name, said) in zip(sorted(lines), expected.items(), strict=True):
            assert line.startswith(f"{source / name}: ") and said in line, again
        assert written(tmp_path / "out") == sorted([*ALL, *(f"{name.split('.')[0]}.json" for name in expected)])
        assert not [p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]
    with pytest.raises(SystemExit, match="6 slides cannot be segmented"):
        cohort(source, "other", dry_run=True)


def test_a_dry_run_tells_minutes(tmp_path, cohort, capsys):
    write_slide(tmp_path / "a.tif", stained())
    found = cohort(tmp_path / "a.tif", dry_run=True)
    assert found["to_do"] == ["a"] and 0 < found["minutes"] < 10
    assert " min  " in capsys.readouterr().out.splitlines()[0] and not (tmp_path / "out").exists()


def test_a_slide_without_a_pyramid_gives_the_same_map(tmp_path, cohort):
    for name, levels in (("a", 1), ("b", 2)):
        cohort(write_slide(tmp_path / f"{name}.tif", stained(), levels=levels), name)
    one, two = label_map(tmp_path / "a"), label_map(tmp_path / "b", "b")
    assert one.shape == (320, 256) and (one == two).mean() > 0.99


@pytest.mark.parametrize("colour", [(242, 241, 243), (40, 60, 190)], ids=["blank", "pen"])
def test_nothing_but_glass_or_ink_is_background(tmp_path, cohort, caplog, colour):
    noise = np.random.default_rng(0).integers(-3, 4, (400, 400, 3))
    write_slide(tmp_path / "a.tif", (np.array(colour) + noise).astype(np.uint8))
    assert cohort(tmp_path / "a.tif")["finished"] == 1
    assert f"{tmp_path / 'a.tif'}: found no tissue" in caplog.text
    assert (label_map(tmp_path / "out") == 2).all() and written(tmp_path / "out") == ALL
    assert (
        '"features":[' in (tmp_path / "out/a.geojson").read_text()
        and "Polygon" not in (tmp_path / "out/a.geojson").read_text()
    )


@BACKENDS
def test_a_damaged_tile_is_painted_and_told_of_once(tmp_path, cohort, caplog, options):
    path = write_slide(tmp_path / "a.tif", stained(), levels=1, **options)
    sound = cohort(path, "sound")
    damage(path, 3)
    caplog.clear()
    assert cohort(path) == sound
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert (
        len(told) == 1
        and told[0].startswith(f"{path}: ")
        and "not segmented" in told[0]
        and "copy the slide anew" in told[0]
    )
    lost = label_map(tmp_path / "out") == NOT_SEGMENTED
    # tile 3 holds rows and columns 256 to 511 of level 0, strip 3 rows 192 to 255; tissue ends at 540 and 412
    (top, bottom), (left, right) = ((128, 256), (128, 206)) if not options else ((96, 128), (50, 206))
    assert lost[top:bottom, left:right].all()
    lost[top - 67 : bottom + 67, max(0, left - 67) : right + 67] = (
        False  # what is tried alone has 64 px, and a filter's reach
    )
    assert not lost.any()
    assert (label_map(tmp_path / "out")[:40, :40] == 2).all()  # what is lost of the tissue mask is no more than that either
    assert written(tmp_path / "out") == ALL


@BACKENDS
def test_a_slide_of_which_nothing_can_be_read_fails(tmp_path, cohort, options):
    path = write_slide(tmp_path / "a.tif", stained((512, 256), glass=0), levels=1, **options)
    for number in range(8 if options else 2):
        damage(path, number)
    for _ in range(2):
        with pytest.raises(SystemExit, match=r"a\.tif: none of its tissue can be read; copy it anew"):
            cohort(path)
        assert written(tmp_path / "out") == ["a.json"]
        assert not list((tmp_path / "out").glob(".*"))


@BACKENDS
def test_or_its_slide_fails(tmp_path, cohort, options):
    path = write_slide(tmp_path / "a.tif", stained(), levels=1, **options)
    damage(path, 3)
    with pytest.raises(SystemExit, match=r"a\.tif: .* px at y \d+, x \d+ of level 0 cannot be read"):
        cohort(path, damaged="fail")
    assert written(tmp_path / "out") == ["a.json"]


def test_regions_are_tissue_and_no_slides(tmp_path, cohort):
    path = write_slide(tmp_path / "a.tif", stained())
    regions = tmp_path / "regions.geojson"
    regions.write_text('{"type": "Polygon", "coordinates": [[[0, 0], [256, 0], [256, 128], [0, 128], [0, 0]]]}')
    with pytest.raises(SystemExit, match=r"regions\.geojson: is not a slide"):
        cohort(regions, "none")
    cohort(path, tissue=str(regions))
    tissue = label_map(tmp_path / "out") != 2
    assert tissue[:64, :128].mean() > 0.99 and not tissue[64:].any() and not tissue[:, 128:].any()


def test_two_slides_of_one_name_have_outputs_each(tmp_path, cohort):
    for folder in ("one", "two"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_slide(tmp_path / "in" / folder / "a.tif", stained())
    assert cohort(tmp_path / "in")["finished"] == 2
    assert [name for name in written(tmp_path / "out") if name.endswith(".ome.tif")] == [
        "one_a_tif.ome.tif",
        "two_a_tif.ome.tif",
    ]
