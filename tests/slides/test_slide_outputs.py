from __future__ import annotations

import numpy as np
import pytest
from made_maps import FACTS, Rows, smooth_map
from PIL import Image
from scripts.core.atomic import atomic_path
from scripts.slides import slide_outputs
from scripts.slides.slide_outputs import OUTPUTS, check_outputs, write_outputs
from scripts.slides.slide_reading import open_slide
from small_slides import drawn, write_slide

pytest.importorskip("openslide")
pytest.importorskip("rasterio")
pytest.importorskip("shapely")


@pytest.fixture
def slide(tmp_path):
    with open_slide(write_slide(tmp_path / "slides/s.tif", drawn(800, 1000))) as opened:
        yield opened


@pytest.fixture
def rows():
    return Rows(smooth_map((400, 500)))


def test_all_of_them_and_what_is_told(slide, rows, tmp_path):
    result = write_outputs(tmp_path, "a.b", rows, slide, FACTS, (1.0, 1.0))
    files = {f"a.b{OUTPUTS[key]}" for key in ("label_map", "geojson", "geojson.gz", "overlay")}
    assert {p.name for p in tmp_path.iterdir()} == {*files, "slides"}
    assert set(result["outputs"]) == {*files, "a.b.zarr"} and result["polygons"] > 10
    assert result["areas"]["tumour"]["pixels"] == (rows.array == 0).sum()
    assert result["not_segmented"]["pixels"] == (rows.array == 255).sum()
    with Image.open(tmp_path / "a.b_overlay.jpg") as picture:
        assert picture.width >= 1000 and np.asarray(picture).std() > 10


def test_some_of_them(slide, rows, tmp_path):
    result = write_outputs(tmp_path, "a", rows, slide, FACTS, (1.0, 1.0), ["label_map"])
    assert result["outputs"] == ["a.ome.tif"] and "polygons" not in result
    assert {p.name for p in tmp_path.iterdir()} == {"a.ome.tif", "slides"}


def test_what_cannot_be_written_leaves_nothing(slide, rows, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scripts.slides.qupath.polygons", full)
    with pytest.raises(OSError, match="No space"):
        write_outputs(tmp_path, "a", rows, slide, FACTS, (1.0, 1.0), ["geojson"])
    assert {p.name for p in tmp_path.iterdir()} == {"slides"}


def test_what_a_killed_process_left_is_removed(slide, rows, tmp_path):
    killed = [atomic_path(tmp_path / name) for name in ("a.ome.tif", "b.ome.tif")]  # nothing is removed while they are held
    left, others = (context.__enter__() for context in killed)
    write_outputs(tmp_path, "a", rows, slide, FACTS, (1.0, 1.0), ["label_map"])
    assert not left.exists() and others.exists()


def test_an_output_that_there_is_not():
    with pytest.raises(ValueError, match=r"outputs: found 'png', expected some of label_map, geojson"):
        check_outputs(["label_map", "png"])
    assert set(slide_outputs.OUTPUTS) == {"label_map", "geojson", "geojson.gz", "overlay", "probabilities"}
