"""A slide from its file to its outputs: they agree with each other, with the networks, and with a run that was killed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scripts.inference import load_model
from scripts.slides import SlideSegmenter, segment_slide
from scripts.slides.cohort_inputs import SlideTask
from scripts.slides.label_rows import NOT_SEGMENTED
from scripts.slides.slide_pixels import UnreadableRegion
from scripts.slides.slide_reading import open_slide
from scripts.slides.tissue_choice import choose_tissue
from small_slides import FACTS, damage, drawn, write_slide, write_stain_models

pytest.importorskip("openslide")
features = pytest.importorskip("rasterio.features")
Affine = pytest.importorskip("affine").Affine
pytest.importorskip("zarr")

ALL = ("label_map", "geojson", "geojson.gz", "overlay", "probabilities")
MAP = (240, 300)  # of the drawn slide at 1 µm/px
WHITE = FACTS.white_value


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_stain_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_slide(tmp_path_factory.mktemp("slides") / "s.tif", drawn())


def segmenter(models: Path, **settings) -> SlideSegmenter:
    return SlideSegmenter(str(models), **{"device": "cpu", "threads": 1, "outputs": ("label_map",), **settings})


def run(segment: SlideSegmenter, slide: Path, folder: Path, report=lambda mm2: None) -> tuple[dict, np.ndarray]:
    """What is told of a slide, and its label map."""
    folder.mkdir(exist_ok=True)
    result = segment(SlideTask(slide, "s"), folder, report)
    return result, tifffile.imread(folder / "s.ome.tif")


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def done(models, slide, tmp_path_factory):
    """The drawn slide with all outputs: folder, result, label map, and what was reported."""
    folder, reports = tmp_path_factory.mktemp("done"), []
    return folder, *run(segmenter(models, outputs=ALL), slide, folder, reports.append), reports


@pytest.fixture(scope="module")
def tissue(slide):
    with open_slide(slide) as opened:
        return choose_tissue(opened, 1.0)


# --- outputs ------------------------------------------------------------------------------------------------------------


def test_the_label_map_is_one_for_all_readers(done):
    import openslide

    folder, result, labels, _ = done
    with tifffile.TiffFile(folder / "s.ome.tif") as tiff, openslide.OpenSlide(folder / "s.ome.tif") as opened:
        (series,) = tiff.series
        shapes = [level.shape for level in series.levels]
        assert shapes[0] == MAP == labels.shape
        assert list(opened.level_dimensions) == [shape[::-1] for shape in shapes]
        assert float(opened.properties["openslide.mpp-x"]) == float(opened.properties["openslide.mpp-y"]) == 1.0
        assert 'PhysicalSizeX="1.0"' in tiff.ome_metadata and 'PhysicalSizeY="1.0"' in tiff.ome_metadata
    assert result["mpp"] == (0.5, 0.5) and result["map_mpp"] == (1.0, 1.0)
    assert sorted(result["outputs"]) == sorted(p.name for p in folder.iterdir())


def test_outside_the_tissue_is_background_and_inside_none(done, tissue):
    _, _, labels, _ = done
    inside = tissue.rows(0, MAP[0])
    assert (labels[~inside] == WHITE).all()
    assert (labels[inside] < WHITE).mean() > 0.995
    assert min(np.bincount(labels[inside], minlength=WHITE)[:WHITE]) > 0.02 * inside.sum()


def test_areas_are_those_of_the_tissue(done, tissue):
    _, result, labels, reports = done
    for number, name in enumerate(FACTS.classes):
        assert result["areas"][name]["pixels"] == (labels == number).sum()
    for unit in ("pixels", "mm2"):
        assert sum(a[unit] for a in result["areas"].values()) == pytest.approx(result["tissue"][unit], abs=1e-5)
    assert sum(a["percent"] for a in result["areas"].values()) == pytest.approx(100, abs=0.01)
    assert result["tissue"]["mm2"] == pytest.approx(tissue.area_mm2, rel=0.005)
    assert result["tissue_mm2"] == pytest.approx(tissue.area_mm2, abs=1e-4)
    assert reports == sorted(reports) and reports[-1] == pytest.approx(tissue.area_mm2, rel=1e-3)
    parts = [result[k]["pixels"] for k in ("tissue", "background", "not_segmented")]
    assert sum(parts) == labels.size and parts[2] == 0


@pytest.mark.parametrize("simplify", [0.0, 1.0])
def test_polygons_painted_again_are_the_map(models, slide, done, tmp_path, simplify):
    folder, result, labels, _ = done
    if not simplify:
        folder = tmp_path
        result, _ = run(segmenter(models, outputs=("label_map", "geojson"), simplify=0.0), slide, folder)
    found = json.loads((folder / "s.geojson").read_text())["features"]
    assert result["polygons"] == len(found) > 10
    classes = [FACTS.classes.index(f["properties"]["classification"]["name"]) for f in found]
    shapes = zip((f["geometry"] for f in found), classes, strict=True)
    twice = Affine.scale(2)  # a px of the map is two of level 0
    painted = features.rasterize(shapes, MAP, WHITE, transform=twice, dtype="uint8")
    assert (painted == labels).mean() >= (0.995 if simplify else 1.0)
    areas = np.bincount(classes, [f["properties"]["measurements"]["Area µm^2"] for f in found], WHITE)
    np.testing.assert_allclose(areas / 1e6, [result["areas"][name]["mm2"] for name in FACTS.classes], rtol=1e-4)
    drawn_areas = np.bincount(painted[painted < WHITE], minlength=WHITE)
    np.testing.assert_allclose(drawn_areas, [result["areas"][name]["pixels"] for name in FACTS.classes], rtol=0.005)


def test_probabilities_are_those_of_the_labels(done, tissue):
    import zarr

    folder, _, labels, _ = done
    group = zarr.open_group(str(folder / "s.zarr"), mode="r")
    found, certainty = group["probabilities"][:].astype(int), group["certainty"][:]
    sure = (labels < WHITE) & (certainty > 2)
    assert sure.mean() > 0.2 and (found.argmax(0)[sure] == labels[sure]).all()
    assert (found[:, labels == WHITE] == 0).all()


def test_a_blank_slide_is_background(models, tmp_path):
    path = write_slide(tmp_path / "blank.tif", np.full((400, 500, 3), 243, np.uint8))
    segment = segmenter(models, outputs=ALL)
    result, labels = run(segment, path, tmp_path / "out")
    assert (labels == WHITE).all() and result["windows"] == 0 and result["tissue"]["pixels"] == 0
    assert result["polygons"] == 0 and segment.estimate(SlideTask(path, "s")) == 0


def test_the_estimate_counts_windows(models, slide):
    segment = segmenter(models)
    segment.seconds_per_window = [6.0]
    assert segment.estimate(SlideTask(slide, "s")) == pytest.approx(run_windows(segment, slide) / 10)


def run_windows(segment: SlideSegmenter, slide: Path) -> int:
    with open_slide(slide) as opened:
        mask, (grid,) = choose_tissue(opened, 1.0), segment.grids(opened)
        return sum(len(grid.lefts(row, mask.rows, segment.least_tissue)) for row in range(grid.rows))


# --- the networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 0.9995),
        ({"gated": False, "overlap": 0.5}, 0.9995),
        ({"window_scales": [2.0]}, 0.9995),
        ({"quality": "fast"}, 0.9995),
        ({"quality": "best"}, 0.9995),
    ],
)
def test_the_map_is_that_of_an_image(models, slide, tmp_path, settings, share):
    _, labels = run(segmenter(models, settings=settings, tissue="none"), slide, tmp_path)
    with open_slide(slide) as opened:
        pixels = opened.read(0, 0, *MAP, 1.0)
    expected = load_model(models, "cpu", **settings).segment(pixels).label_map
    assert (labels == expected).mean() >= share


@pytest.mark.parametrize(("mpp", "factor"), [(0.25, 4), (1.0, 1)])
def test_slides_of_other_pixels_give_the_same_map(models, slide, done, tmp_path, mpp, factor):
    with open_slide(slide) as opened:
        pixels = opened.read(0, 0, *MAP, 1.0)
    path = write_slide(tmp_path / "o.tif", pixels.repeat(factor, 0).repeat(factor, 1), mpp, levels=1)
    result, labels = run(segmenter(models, outputs=("label_map", "geojson")), path, tmp_path / "out")
    assert result["mpp"] == (mpp, mpp) and labels.shape == MAP
    assert (labels == done[2]).mean() > 0.97
    corners = [f["geometry"]["coordinates"][0] for f in json.loads((tmp_path / "out/s.geojson").read_text())["features"]]
    columns, rows = np.max(np.concatenate(corners), axis=0) / factor
    assert columns == pytest.approx(np.flatnonzero((labels < WHITE).any(0)).max() + 1, abs=1)
    assert rows == pytest.approx(np.flatnonzero((labels < WHITE).any(1)).max() + 1, abs=1)


def test_pixel_size_of_the_networks(models, slide, tmp_path):
    result, labels = run(segmenter(models, mpp=2.0), slide, tmp_path)
    assert labels.shape == (120, 150) and result["map_mpp"] == (2.0, 2.0)
    unknown = write_stain_models(tmp_path / "unknown", type(FACTS)(**{**FACTS.__dict__, "mpp": None}))
    with pytest.raises(ValueError, match="--model_mpp"):
        run(segmenter(unknown), slide, tmp_path / "a")
    assert run(segmenter(unknown, mpp=(2.0, 1.0)), slide, tmp_path / "b")[1].shape == (120, 300)


def test_what_is_said_of_the_slide_counts(models, slide, tmp_path):
    result = segmenter(models)(SlideTask(slide, "s", (1.0, 1.0)), tmp_path, lambda mm2: None)
    assert result["mpp_from"] == "given"
    assert tifffile.imread(tmp_path / "s.ome.tif").shape == (480, 600)


def test_windows_that_see_too_little_tissue_are_background(models, slide, tmp_path):
    boxes = ((120, 180, 240, 180), (420, 60, 12, 12))  # left, top, width, height in px of level 0
    rings = [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]] for x, y, w, h in boxes]
    features_ = [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [r]}} for r in rings]
    regions = tmp_path / "regions.geojson"
    regions.write_text(json.dumps({"type": "FeatureCollection", "features": features_}))
    for least, small in ((0.0, True), (0.2, False)):
        _, labels = run(segmenter(models, tissue=str(regions), least_tissue=least), slide, tmp_path / str(least))
        assert (labels[96:174, 66:174] < WHITE).all()
        assert (labels[24:42, 204:222] < WHITE).any() == small
        assert (labels[:, 240:] == WHITE).all()


# --- killed -------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


def killed_at(number: int):
    calls = []

    def report(mm2: float) -> None:
        calls.append(mm2)
        if len(calls) == number:
            raise Killed

    return report


@pytest.mark.parametrize("calls", [[1], [3], [5, 4], [11]])
def test_a_killed_run_ends_like_an_unbroken_one(models, slide, done, tmp_path, calls):
    for number in calls:
        with pytest.raises(Killed):
            run(segmenter(models, outputs=ALL), slide, tmp_path, killed_at(number))
        assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".") and not p.name.endswith(".part")]
    result, _ = run(segmenter(models, outputs=ALL), slide, tmp_path)
    assert result["windows"] < done[1]["windows"] or calls == [1]
    assert content(tmp_path) == content(done[0])


@pytest.mark.parametrize("output", ["write_label_tiff", "write_slide_overlay"])
def test_a_run_killed_while_it_writes_ends_like_an_unbroken_one(models, slide, done, tmp_path, monkeypatch, output):
    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(f"scripts.slides.slide_outputs.{output}", die)
        run(segmenter(models, outputs=ALL), slide, tmp_path)
    result, _ = run(segmenter(models, outputs=ALL), slide, tmp_path)
    assert result["windows"] == 0
    assert content(tmp_path) == content(done[0])


def test_rows_of_other_settings_are_not_gone_on_with(models, slide, done, tmp_path):
    with pytest.raises(Killed):
        run(segmenter(models, outputs=ALL, mpp=2.0, fingerprint="other"), slide, tmp_path, killed_at(4))
    run(segmenter(models, outputs=ALL), slide, tmp_path)
    assert content(tmp_path) == content(done[0])


# --- damage -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A slide of one level with an unreadable tile: rows and columns 128-255, in the tissue."""
    path = write_slide(tmp_path_factory.mktemp("broken") / "s.tif", drawn(), levels=1)
    damage(path, 6)
    return path


def test_a_damaged_tile_is_not_segmented(models, broken, tmp_path, caplog):
    result, labels = run(segmenter(models, outputs=("label_map", "geojson", "overlay")), broken, tmp_path)
    lost = labels == NOT_SEGMENTED
    assert lost[66:126, 66:126].all()
    lost[48:144, 16:176] = False  # what cannot be read is found to 64 px
    assert not lost.any()
    assert 64 * 64 - 256 <= result["not_segmented"]["pixels"] == (labels == NOT_SEGMENTED).sum() <= 96 * 160
    assert (labels < WHITE).any() and "cannot be read" in caplog.text


def test_a_damaged_slide_that_was_killed_ends_like_an_unbroken_one(models, broken, tmp_path):
    run(segmenter(models), broken, tmp_path / "whole")
    (tmp_path / "broken").mkdir()
    for number in (5, 2):
        with pytest.raises(Killed):
            run(segmenter(models), broken, tmp_path / "broken", killed_at(number))
    run(segmenter(models), broken, tmp_path / "broken")
    assert content(tmp_path / "broken") == content(tmp_path / "whole")


def test_a_damaged_slide_fails_where_it_should(models, broken, tmp_path):
    with pytest.raises(UnreadableRegion, match=r"s\.tif"):
        run(segmenter(models, damaged="fail"), broken, tmp_path)
    assert not (tmp_path / "s.ome.tif").exists()


# --- settings -----------------------------------------------------------------------------------------------------------


def test_it_can_be_sent_to_another_process(models, slide, done, tmp_path):
    segment = segmenter(models, outputs=ALL, settings={"gated": True})
    segment.model  # noqa: B018 - loaded
    sent = pickle.loads(pickle.dumps(segment))
    assert sent == segment and "model" not in vars(sent) and len(pickle.dumps(segment)) < 2000
    run(sent, slide, tmp_path)
    assert content(tmp_path) == content(done[0])


def test_settings_that_are_none(models):
    for wrong in ({"damaged": "skip"}, {"outputs": ["png"]}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: found"):
            segmenter(models, **wrong)
    with pytest.raises(ValueError, match="flps"):
        segmenter(models, settings={"flps": True}).model  # noqa: B018
    assert segment_slide.__all__ == ["SlideSegmenter"]
