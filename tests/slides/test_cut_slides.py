"""Annotated slides to a prepared dataset: what is drawn is known, so labels, groups and positions are."""

from __future__ import annotations

import csv
import gzip
import json
import logging

import numpy as np
import pytest
import tifffile
from scripts.core.facts import DatasetFacts
from scripts.core.images import read_image
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare
from scripts.slides.qupath import write_qupath
from scripts.slides.slide_reading import open_slide

pytest.importorskip("openslide")
pytest.importorskip("rasterio")

CLASSES = ["tumour", "stroma", "fat"]
COLOURS = {"tumour": (150, 60, 150), "stroma": (220, 130, 160), "fat": (240, 210, 220)}
FACTS = {"classes": CLASSES, "mpp": 1.0, "white_background": True}
CUT = {"layout": "slides", "patch_size": 64, "progress": False}
HEIGHT, WIDTH = 1024, 1280  # px of level 0, of 0.5 µm: 512 x 640 px of the patches


def draw(path, seed=0, mpp=0.5, height=HEIGHT):
    """A slide: tumour from the left to column 512, stroma to 1024, glass beyond; glass above row 128."""
    rng = np.random.default_rng(seed)
    image = np.full((height, WIDTH, 3), 244, np.uint8)
    image[128:, :512], image[128:, 512:1024] = COLOURS["tumour"], COLOURS["stroma"]
    image[128:, :1024] += rng.integers(0, 12, (height - 128, 1024, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    resolution = None if mpp is None else (1e4 / mpp, 1e4 / mpp)
    unit = {} if mpp is None else {"resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, image, tile=(256, 256), photometric="rgb", resolution=resolution, **unit)
    return path


def box(class_, top, left, height, width, hole=None, **more):
    def ring(t, ll, h, w):
        return [[ll, t], [ll + w, t], [ll + w, t + h], [ll, t + h], [ll, t]]

    rings = [ring(top, left, height, width), *([ring(*hole)] if hole else [])]
    return feature(class_, {"type": "Polygon", "coordinates": rings}, **more)


def point(class_, *places, **more):
    return feature(class_, {"type": "MultiPoint", "coordinates": [[x, y] for y, x in places]}, **more)


def feature(class_, geometry, **more):
    said = {} if class_ is None else {"classification": {"name": class_, "color": [200, 0, 0]}}
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": {"objectType": "annotation", **said, **more}}


def annotate(slide, features, name=None):
    path = slide.parent / (name or f"{slide.stem}.geojson")
    text = json.dumps({"type": "FeatureCollection", "features": features})
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def both(slide):
    """Both tissues outlined, 20 px too far where there is glass."""
    return annotate(slide, [box("tumour", 108, 0, HEIGHT - 108, 512), box("Stroma", 108, 512, HEIGHT - 108, 532)])


def entries(target, sections=("training", "validation")):
    return {(e["group"], *e["position"]): e for name in sections for e in read_datalist(target, name)}


def test_outlined_regions_become_labelled_patches(tmp_path):
    for k in range(3):
        both(draw(tmp_path / f"slides/S{k}.tif", k))
    prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    found = entries(tmp_path / "set")
    # 8 x 10 patches in the slide: the first row and the last two columns are glass
    assert set(found) == {(f"S{k}", y, x) for k in range(3) for y in range(64, 512, 64) for x in range(0, 512, 64)}
    assert all(e["label"] == ([1, 0, 0] if x < 256 else [0, 1, 0]) for (_, _, x), e in found.items())
    assert len({e["group"] for e in read_datalist(tmp_path / "set", "validation")}) == 1
    with open_slide(tmp_path / "slides/S1.tif") as slide:
        assert (read_image(tmp_path / "set" / found["S1", 128, 192]["image"]) == slide.read(128, 192, 64, 64, 1.0)).all()
    content = json.loads((tmp_path / "set/datalist.json").read_text())
    assert content["mpp"] == 1.0 and content["classes"] == CLASSES


def test_a_mixed_patch_has_both_classes_and_one_partly_annotated_is_left_out(tmp_path, caplog):
    slide = draw(tmp_path / "slides/S.tif")
    # a stride of 32 px: the border, column 256 of the grid, runs through the middle of patches
    annotate(slide, [box("tumour", 128, 0, 896, 512), box("stroma", 128, 512, 448, 512)])
    caplog.set_level(logging.INFO)
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT, stride=32)
    found = entries(tmp_path / "set")
    assert found["S", 64, 224]["label"] == [1, 1, 0]
    # rows from 288 px on are not annotated in the stroma: mixed and pure patches there are unknown
    assert not [p for p in found if p[2] > 192 and p[1] > 224] and ("S", 256, 192) in found
    assert "not covered by regions" in caplog.text


def test_unnamed_is_absent_only_when_told(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    annotate(slide, [box("tumour", 128, 0, 896, 512)])
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT, stride=32)
    assert {p[2] for p in entries(tmp_path / "set")} == set(range(0, 193, 32))
    prepare(slide.parent, tmp_path / "told", FACTS, **CUT, stride=32, unnamed="absent")
    found = entries(tmp_path / "told")
    assert found["S", 64, 224]["label"] == [1, 0, 0] and {p[2] for p in found} == set(range(0, 225, 32))


def test_points_and_small_rectangles_say_what_a_patch_shows(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    annotate(
        slide,
        [
            point("tumour: stroma", (600, 512), (300, 520)),  # (y, x) of level 0
            point(None, (900, 30), name="tumour"),
            box("stroma", 700, 700, 130, 120, name="any remark"),
            box(None, 500, 448, 128, 128, name="stroma + tumour"),
        ],
        "S.tif.geojson.gz",
    )
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    found = {p[1:]: e["label"] for p, e in entries(tmp_path / "set").items()}
    assert found == {
        (268, 224): [1, 1, 0],
        (118, 228): [1, 1, 0],
        (418, 0): [1, 0, 0],  # moved into the slide
        (350, 348): [0, 1, 0],
        (250, 224): [1, 1, 0],
    }


def test_smaller_regions_count_and_what_is_to_be_ignored_is_not_known(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    inside = box("stroma", 256, 0, 256, 256)
    annotate(slide, [inside, box("tumour", 128, 0, 896, 512), box("Ignore*", 512, 0, 512, 512), box("fat*", 128, 0, 9, 9)])
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    found = {p[1:]: e["label"] for p, e in entries(tmp_path / "set").items()}
    assert found[128, 0] == [0, 1, 0] and found[64, 0] == found[128, 128] == [1, 0, 0]
    assert {y for y, _ in found} == {64, 128, 192}


def test_holes_are_kept(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    annotate(slide, [box("tumour", 128, 0, 896, 512, hole=(256, 128, 256, 256))])
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    found = {p[1:] for p in entries(tmp_path / "set")}
    assert not found & {(y, x) for y in (128, 192) for x in (64, 128)} and len(found) == 28 - 4


def test_corrected_annotations_are_cut_again_and_others_stay(tmp_path, caplog):
    one, two = (draw(tmp_path / f"slides/{name}.tif", 1) for name in ("A", "B"))
    both(one), both(two)
    prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "set-patches").iterdir()}
    annotate(two, [box("fat", 128, 0, 896, 512)])
    with pytest.raises(FileExistsError, match=r"changed: 1 file \(B\.geojson\)"):
        prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT, overwrite=True)
    found = entries(tmp_path / "set")
    assert all(e["label"] == [0, 0, 1] for p, e in found.items() if p[0] == "B") and len(found) == 56 + 28
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "set-patches").iterdir()}
    (kept,) = {name for name in before if name in after and not name.startswith((".", "labels"))}
    assert kept.startswith("A-") and before[kept] == after[kept]
    assert len([n for n in after if n.startswith("B-")]) == 1  # the old ones went when the new set was whole
    caplog.set_level(logging.INFO)
    prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    assert "is prepared already" in caplog.text


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(tmp_path):
    place = tmp_path / "slides"
    both(draw(place / "good.tif"))
    both(draw(place / "a/twin.tif")), both(draw(place / "b/twin.tif"))
    draw(place / "bare.tif")
    both(draw(place / "no_mpp.tif", mpp=None))
    both(draw(place / "coarse.tif", mpp=4))
    (place / "text.svs").write_text("no slide")
    annotate(place / "text.svs", [])
    (draw(place / "broken.tif").parent / "broken.geojson").write_text("{")
    annotate(draw(place / "empty.tif"), [])
    annotate(draw(place / "flat.tif"), [box("stroma", 200, 600, 0, 50)])
    annotate(
        draw(place / "odd.tif"),
        [
            box("tumour", 128, 0, 896, 512),
            box("tumor", 128, 512, 896, 512),
            box("stroma", 9000, 0, 10, 10),
            point("stroma", (-5, 3)),
            box("tumour: stroma", 128, 0, 400, 400),
        ],
    )
    with pytest.raises(SystemExit) as stop:
        prepare(place, tmp_path / "set", FACTS, **CUT)
    lines = str(stop.value).splitlines()
    assert lines[0].endswith(f"slides or annotations were skipped, all others are in {tmp_path / 'set'}:")
    text = "\n".join(lines)
    for words in (
        "bare.tif: no annotations beside it, expected bare.geojson",
        "a/twin.tif and b/twin.tif: slides of one name, none of them is used",
        "no_mpp.tif: ",
        "coarse.tif: has 4 µm/px, coarser than the dataset's 1",
        "text.svs: ",
        "broken.geojson: not readable as JSON",
        "empty.geojson: no annotation has a class of tumour, stroma, fat",
        "odd.geojson, feature 2: class 'tumor' is none of the classes tumour, stroma, fat; is 'tumour' meant?",
        "odd.geojson, feature 3 and 1 others: lie outside the slide, which has 1024 x 1280 px",
        "flat.geojson: feature 1: ",
        "odd.geojson, feature 5: name several classes, but are neither points nor rectangles of a patch's size, 128 x 128 px",
    ):
        assert sum(words in line for line in lines) == 1, (words, text)
    assert "--mpp" not in text and len(lines) == 12
    groups = {p[0] for p in entries(tmp_path / "set")}
    assert groups == {"good", "odd"}


def test_nothing_to_cut_is_one_error(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    annotate(slide, [])
    with pytest.raises(ValueError, match=r"no patch could be cut\n.*no annotation has a class"):
        prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match="µm/px of the patches is not known; give it in the dataset file"):
        prepare(slide.parent, tmp_path / "set", {"classes": CLASSES}, **CUT)
    with pytest.raises(ValueError, match="the classes are not known; name those of the annotations"):
        prepare(slide.parent, tmp_path / "set", {"mpp": 1.0}, **CUT)
    with pytest.raises(FileNotFoundError, match="found no slide with annotations"):
        prepare(_empty(tmp_path / "none"), tmp_path / "set", FACTS, **CUT)
    with pytest.raises(ValueError, match="prepare#unnamed: found 'all', expected one of unknown, absent"):
        prepare(slide.parent, tmp_path / "set", FACTS, **CUT, unnamed="all")


def _empty(path):
    path.mkdir()
    return path


def test_a_folder_of_others_is_not_touched(tmp_path):
    both(draw(tmp_path / "slides/S.tif"))
    (tmp_path / "set-patches").mkdir()
    (tmp_path / "set-patches/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="set-patches: there already, and not made by prepare"):
        prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    assert [p.name for p in (tmp_path / "set-patches").iterdir()] == ["mine.txt"]


def test_a_table_names_slides_annotations_and_patients(tmp_path):
    place = tmp_path / "slides"
    for name in ("S1", "S2", "S3"):
        draw(place / f"{name}.tif", mpp=None)
    annotate(place / "S1.tif", [box("tumour", 128, 0, 896, 512)], "one.geojson")
    annotate(place / "S2.tif", [box("stroma", 128, 512, 896, 512)], "two.geojson")
    rows = [
        "slide,annotations,patient,mpp",
        "S1.tif,one.geojson,P1,0.5",
        "S2.tif,two.geojson,P1,0.5",
        "S3.tif,none.geojson,P2,0.5",
    ]
    (place / "slides.csv").write_text("\n".join(rows))
    with pytest.raises(SystemExit, match=r"none\.geojson: no such file, expected the annotations of 'S3\.tif'"):
        prepare(place, tmp_path / "set", FACTS, **CUT)
    found = read_datalist(tmp_path / "set", "training")
    assert {(e["group"], e["region"]) for e in found} == {("P1", "S1"), ("P1", "S2")}  # positions are counted in slides


def test_a_table_of_regions(tmp_path):
    place = tmp_path / "slides"
    for name in ("S1", "S2"):
        draw(place / f"{name}.tif", mpp=None)
    rows = [
        "slide,class,top,left,height,width,mpp",
        "S1.tif,tumour,128,0,896,512,0.5",
        'S1.tif,"tumour, stroma",600,450,128,128,0.5',
        "S2.tif,stroma,128,512,896,512,0.5",
        "S2.tif,fat,200,40,,,0.5",
    ]
    (place / "regions.csv").write_text("\n".join(rows))
    prepare(place / "regions.csv", tmp_path / "set", FACTS, **CUT)
    found = entries(tmp_path / "set")
    assert len(found) == 28 + 1 + 28 + 1
    assert found["S1", 300, 225]["label"] == [1, 1, 0] and found["S2", 68, 0]["label"] == [0, 0, 1]


def test_groups_by_pattern_and_name(tmp_path):
    for name in ("TCGA-A1-A0SK-01", "TCGA-A1-A0SK-02", "TCGA-B2-A0SK-01"):
        both(draw(tmp_path / f"slides/{name}.tif"))
    prepare(tmp_path / "slides", tmp_path / "set", FACTS, **CUT)
    assert {p[0] for p in entries(tmp_path / "set")} == {"TCGA-A1-A0SK", "TCGA-B2-A0SK"}
    prepare(tmp_path / "slides", tmp_path / "set2", FACTS, **CUT, group=r"TCGA-(\w\w)")
    assert {p[0] for p in entries(tmp_path / "set2")} == {"A1", "B2"}


def test_the_table_of_patches_is_one_that_people_can_read(tmp_path):
    slide = draw(tmp_path / "slides/S.tif")
    annotate(slide, [point("tumour", (600, 300))])
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    with (tmp_path / "set-patches/labels.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row.pop("image").endswith("/S_y268_x118.png")
    assert row == {
        "group": "S", "slide": "S", "position_y": "268", "position_x": "118", "mpp": "1.0",
        "tumour": "1", "stroma": "0", "fat": "0",
    }  # fmt: skip


class _Rows:
    """A label map in memory."""

    def __init__(self, labels):
        self.labels, self.size = labels, labels.shape

    def read(self, top, height):
        return self.labels[top : top + height]


def test_what_is_exported_for_qupath_comes_back_corrected(tmp_path):
    """Slides, segmented at 1 µm/px, are exported; one piece is given another class; patches have the map's labels."""
    slide = draw(tmp_path / "slides/S.tif")
    labels = np.full((HEIGHT // 2, WIDTH // 2), len(CLASSES), np.uint8)  # background
    labels[64:, :256], labels[64:, 256:512] = 0, 1
    labels[200:360, 30:210], labels[400:403, 300:303] = 1, 0  # a piece, and a speck, in holes of their surroundings
    facts = DatasetFacts.from_dict(FACTS)
    file = tmp_path / "slides/S.geojson"
    write_qupath(file, _Rows(labels), facts, (1.0, 1.0), (2.0, 2.0), name="S")
    content = json.loads(file.read_text())
    (piece,) = [f for f in content["features"] if f["properties"]["measurements"]["Area µm^2"] == 160 * 180]
    piece["properties"]["classification"] = {"name": "fat", "color": [0, 0, 0]}
    file.write_text(json.dumps(content))
    labels[200:360, 30:210] = 2
    prepare(slide.parent, tmp_path / "set", FACTS, **CUT)
    found = {p[1:]: e["label"] for p, e in entries(tmp_path / "set").items()}
    assert len(found) == 56
    for (top, left), label in found.items():
        shares = [(labels[top : top + 64, left : left + 64] == k).mean() for k in range(3)]
        assert label == [int(share > 0.05) for share in shares], (top, left, shares)
