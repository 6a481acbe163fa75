"""Slides that cannot be segmented, or not all of them: one clear line each, nothing half-written, the rest goes on."""

from __future__ import annotations

import errno
import logging
import os
import sys
from functools import partial

import numpy as np
import pytest
import tifffile
from made_slides import damage, stained, write_slide
from scripts.core.errors import message
from scripts.core.facts import DatasetFacts
from scripts.slides import SlideSegmenter, region_files, run_cohort
from scripts.slides.label_rows import NOT_SEGMENTED, LabelRows
from tiny import write_models

pytest.importorskip("openslide")
pytest.importorskip("rasterio")
pytest.importorskip("shapely")

FACTS = DatasetFacts(classes=("a", "b"), mpp=1.0)
STRIPS = {"tile": None, "rowsperstrip": 64}
BACKENDS = pytest.mark.parametrize("options", [{}, STRIPS], ids=["openslide", "tifffile"])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"), FACTS, patch_size=(64, 64))


@pytest.fixture
def cohort(tmp_path, models):
    """Segments what is in a folder, as the command does."""

    def run(source, out="out", dry_run=False, make=None, **settings):
        make = make or partial(SlideSegmenter, str(models), "cpu", {"gated": False}, threads=1, **settings)
        return run_cohort(source, None, tmp_path / out, make_segment=make, progress=False, dry_run=dry_run)

    return run


def written(folder):
    """Names of what a user sees in a folder of results."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith((".", "cohort")))


def label_map(folder, name="a"):
    return tifffile.imread(folder / f"{name}.ome.tif", series=0, level=0)


ALL = ["a.geojson", "a.json", "a.ome.tif", "a_overlay.jpg"]


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


class Meddling(SlideSegmenter):
    """Something happens to the slide or the disk when the first rows are done."""

    def __call__(self, task, folder, report):
        def reported(mm2):
            report(mm2)
            if mm2 and MEDDLE:
                MEDDLE.pop()()

        return super().__call__(task, folder, reported)


MEDDLE = []


@pytest.fixture
def meddling(models):
    MEDDLE.clear()
    yield partial(Meddling, str(models), "cpu", {"gated": False}, threads=1)
    MEDDLE.clear()


@BACKENDS
@pytest.mark.parametrize("damaged", ["paint", "fail"])
def test_a_slide_that_vanishes_or_is_cut_while_it_is_read(tmp_path, cohort, meddling, options, damaged):
    path = write_slide(tmp_path / "in.tif", stained((900, 512)), levels=1, **options)
    path = path.rename(tmp_path / "a.tif")
    cohort(path, "whole")
    content, stat = path.read_bytes(), path.stat()
    make = partial(meddling, damaged=damaged)
    for meddle, said in (
        (
            path.unlink,
            r"a\.tif: is no longer there \(No such file or directory\); once it is back, the same command continues",
        ),
        (lambda: os.truncate(path, len(content) // 3), r"a\.tif: has changed while it was read: found \d+ bytes"),
    ):
        MEDDLE.append(meddle)
        with pytest.raises(SystemExit, match=said):
            cohort(path, make=make)
        assert written(tmp_path / "out") == ["a.json"]
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = LabelRows(next((tmp_path / "out").glob(".a.labels-*")), (450, 256)).done
    assert 0 < done < 450
    cohort(path, make=make)
    assert written(tmp_path / "out") == ALL
    for name in ("a.geojson", "a.ome.tif", "a_overlay.jpg"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _full(*_args, **_keywords):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_run_and_the_same_command_continues(tmp_path, cohort, monkeypatch):
    for name in "ab":
        write_slide(tmp_path / f"in_{name}.tif", stained())
    places = {
        "scripts.slides.label_rows.LabelRows.append": [],
        "tifffile.TiffWriter.write": [],
        "scripts.slides.qupath.polygons": ["in_a.ome.tif"],
        "scripts.slides.slide_overlay.write_image": ["in_a.geojson", "in_a.ome.tif"],
    }
    for place, there in places.items():
        with (
            monkeypatch.context() as patch,
            pytest.raises(SystemExit, match=r"the disk is full .*the same command continues"),
        ):
            patch.setattr(place, _full)
            cohort(str(tmp_path / "in_*.tif"))
        found = set(written(tmp_path / "out"))
        assert found == {"in_a.json", *there}  # and the second slide was not begun
        hidden = {p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")}
        assert all(name.startswith(".in_a.labels-") for name in hidden)
    assert cohort(str(tmp_path / "in_*.tif"))["finished"] == 2


def test_rows_that_do_not_fit_the_disk_name_their_file(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no full device")
    with LabelRows(tmp_path / "rows", (4, 8)) as rows:
        rows._file.close()
        rows._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        with pytest.raises(OSError, match=r"No space left.*rows") as error:
            rows.append(np.zeros((4, 8), np.uint8))
        assert error.value.errno == errno.ENOSPC and rows.done == 0


def test_probabilities_outlive_a_failure_of_what_comes_after(tmp_path, cohort, monkeypatch):
    zarr = pytest.importorskip("zarr")
    path, outputs = write_slide(tmp_path / "a.tif", stained()), "label_map, probabilities"
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("tifffile.TiffWriter.write", _full)
        cohort(path, outputs=outputs)
    first = zarr.open_group(str(tmp_path / "out/a.zarr"), mode="r")["probabilities"][:]
    cohort(path, outputs=outputs)
    assert (zarr.open_group(str(tmp_path / "out/a.zarr"), mode="r")["probabilities"][:] == first).all() and first.any()
    assert written(tmp_path / "out") == ["a.json", "a.ome.tif", "a.zarr"]
    assert {p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")} == set()


@pytest.mark.parametrize("module", ["openslide", "rasterio.features", "shapely", "zarr"])
def test_a_missing_package_is_said_before_any_slide(tmp_path, cohort, monkeypatch, module):
    write_slide(tmp_path / "a.tif", stained())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"the package {module.split('.')[0]} is needed.*pip install '\.\[slides\]'"):
        cohort(tmp_path / "a.tif", outputs=["geojson", "probabilities"])
    assert written(tmp_path / "out") == []


def test_settings_that_are_none_are_said_before_any_slide(tmp_path, cohort):
    path = write_slide(tmp_path / "a.tif", stained())
    with pytest.raises(FileNotFoundError, match=r"tissue: found regions\.geojson, which is no file; expected auto, none"):
        cohort(path, tissue="regions.geojson")
    for outputs in ("mask", ["label_map", "mask"], "label_map, mask"):
        with pytest.raises(ValueError, match=r"outputs: found 'mask', expected some of label_map, geojson"):
            cohort(path, outputs=outputs)
    with pytest.raises(ValueError, match="outputs: found 3"):
        cohort(path, outputs=3)
    with pytest.raises(ValueError, match="damaged: found 'skip', expected one of paint, fail"):
        cohort(path, damaged="skip")
    assert written(tmp_path / "out") == []


def test_weights_that_do_not_know_their_pixel_size_are_said_once(tmp_path, cohort):
    models = write_models(tmp_path / "models", DatasetFacts(classes=("a", "b")), patch_size=(64, 64))
    path = write_slide(tmp_path / "a.tif", stained())
    make = partial(SlideSegmenter, str(models), "cpu", {"gated": False}, threads=1)
    with pytest.raises(ValueError, match=r"do not say at which µm/px they were trained.*--model_mpp"):
        cohort(path, make=make)
    assert written(tmp_path / "out") == []
    assert cohort(path, make=partial(make, mpp=1.0))["finished"] == 1


def test_regions_are_tissue_and_no_slides(tmp_path, cohort):
    path = write_slide(tmp_path / "a.tif", stained())
    regions = tmp_path / "regions.geojson"
    regions.write_text('{"type": "Polygon", "coordinates": [[[0, 0], [256, 0], [256, 128], [0, 128], [0, 0]]]}')
    with pytest.raises(SystemExit, match=r"regions\.geojson: is not a slide"):
        cohort(regions, "none")
    cohort(path, tissue=str(regions))
    tissue = label_map(tmp_path / "out") != 2
    assert tissue[:64, :128].mean() > 0.99 and not tissue[64:].any() and not tissue[:, 128:].any()


def test_a_folder_that_cannot_be_written_is_said_before_any_slide(tmp_path, cohort):
    path = write_slide(tmp_path / "a.tif", stained())
    (tmp_path / "out").touch()
    with pytest.raises(FileExistsError) as error:
        cohort(path)
    assert message(error.value) == f"{tmp_path / 'out'}: cannot be written (File exists); choose another output_dir"


def test_results_depend_on_what_regions_say(tmp_path):
    assert region_files("auto") == region_files("none") == []
    for name in "ba":
        (tmp_path / f"{name}.geojson").touch()
    assert region_files(str(tmp_path / "a.geojson")) == [str(tmp_path / "a.geojson")]
    assert region_files(str(tmp_path)) == [str(tmp_path / "a.geojson"), str(tmp_path / "b.geojson")]
    with pytest.raises(FileNotFoundError, match="tissue: found"):
        region_files(str(tmp_path / "c.geojson"))


def test_two_slides_of_one_name_have_outputs_each(tmp_path, cohort):
    for folder in ("one", "two"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_slide(tmp_path / "in" / folder / "a.tif", stained())
    assert cohort(tmp_path / "in")["finished"] == 2
    assert [name for name in written(tmp_path / "out") if name.endswith(".ome.tif")] == [
        "one_a_tif.ome.tif",
        "two_a_tif.ome.tif",
    ]
