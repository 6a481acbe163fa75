"""What goes wrong with a run of slides: slides that go, full disks, missing packages, settings that are none."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial

import pytest
from made_slides import stained, write_slide
from scripts.core.errors import message
from scripts.slides import SlideSegmenter, region_files
from scripts.slides.label_rows import LabelRows
from slide_runs import ALL, BACKENDS, small_models, written


class Meddling(SlideSegmenter):
    """Something happens to the slide or the disk when the first rows are done."""

    def __call__(self, task, folder, report):
        def reported(mm2):
            report(mm2)
            if mm2 and MEDDLE:
                MEDDLE.pop()()

        return super().__call__(task, folder, reported)


MEDDLE = []


@BACKENDS
@pytest.mark.parametrize("damaged", ["paint", "fail"])
def test_a_slide_that_vanishes_or_is_cut_while_it_is_read(tmp_path, cohort, options, damaged):
    path = write_slide(tmp_path / "in.tif", stained((900, 512)), levels=1, **options)
    path = path.rename(tmp_path / "a.tif")
    cohort(path, "whole")
    content, stat = path.read_bytes(), path.stat()
    MEDDLE.clear()
    run = partial(cohort, path, make=Meddling, damaged=damaged)
    for meddle, said in (
        (
            path.unlink,
            r"a\.tif: is no longer there \(No such file or directory\); once it is back, the same command continues",
        ),
        (lambda: os.truncate(path, len(content) // 3), r"a\.tif: has changed while it was read: found \d+ bytes"),
    ):
        MEDDLE.append(meddle)
        with pytest.raises(SystemExit, match=said):
            run()
        assert written(tmp_path / "out") == ["a.json"]
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = LabelRows(next((tmp_path / "out").glob(".a.labels-*")), (450, 256)).done
    assert 0 < done < 450
    run()
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
    models = small_models(tmp_path / "models", mpp=None)
    path = write_slide(tmp_path / "a.tif", stained())
    with pytest.raises(ValueError, match=r"do not say at which µm/px they were trained.*--model_mpp"):
        cohort(path, models=models)
    assert written(tmp_path / "out") == []
    assert cohort(path, models=models, mpp=1.0)["finished"] == 1


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
