from __future__ import annotations

import pytest
from scripts.slides.annotated_slides import annotated_slides


def _files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def _names(found):
    return {(slide.name, slide.file.name, slide.group) for slide in found}


def test_annotations_lie_beside_their_slides(tmp_path):
    _files(
        tmp_path, "a/S1.svs", "a/S1.geojson", "a/S2.ndpi", "a/S2.ndpi.geojson.gz", "b/S3.TIF", "b/S3.GeoJSON", "b/S4.svs",
        "b/S5.svs", ".hidden/S6.svs", ".hidden/S6.geojson", "b/._S3.geojson", "b/other.geojson", "b/notes.txt",
        "out/S1.ome.tif", "out/S1_areas.json", "out/S1.geojson",
    )  # fmt: skip
    found, faults, table = annotated_slides(tmp_path)
    assert table is None
    # subfolders tell patients apart
    assert _names(found) == {("S1", "S1.geojson", "a"), ("S2", "S2.ndpi.geojson.gz", "a"), ("S3", "S3.GeoJSON", "b")}
    (fault,) = faults
    assert fault.endswith("S4.svs (and 1 other slides): no annotations beside it, expected S4.geojson from QuPath")


def test_two_annotations_or_two_slides_of_a_name(tmp_path):
    _files(tmp_path, "S1.svs", "S1.geojson", "S1.svs.geojson", "S2.svs", "S2.tif", "S2.geojson", "S3.svs", "S3.geojson")
    found, faults, _ = annotated_slides(tmp_path)
    assert _names(found) == {("S3", "S3.geojson", "S3")}
    assert "may be S1.svs.geojson or S1.geojson; keep one" in faults[0]
    assert faults[1].startswith("S2.svs and S2.tif: slides of one name, none of them is used")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slide,x\nS.svs,1", "found columns slide, x, expected slide and either annotations"),
        ("slide,annotations\n,a.geojson", "line 2: names no slide"),
        ("slide,annotations,mpp\nS.svs,a.geojson,fine", "line 2, column mpp: found 'fine', expected a number"),
        (
            "slide,annotations,mpp\nS.svs,a.geojson,500",
            "line 2, column mpp: found '500', expected a number from 0.01 to 100",
        ),
        ("slide,annotations\nS.svs,a.geojson\nS.svs,a.geojson", "line 3: 'S.svs' is listed before with another group"),
        ("slide,class,top,left,height,width\nS.svs,t,1,2,3,", "line 2: expected top, left, height and width"),
        ("slide,class,top,left,height,width\nS.svs,t,a,2,3,4", "line 2, column top: found 'a', expected a number"),
        ("slide,class,top,left,height,width\nS.svs,t,1,2,0,4", "line 2: found a region of 0 x 4 px"),
        ("slide,class,top,left,height,width\nS.svs,t,1,2,nan,4", "line 2: found a region of nan x 4 px"),
        (
            "slide,class,top,left,height,width,patient\nS.svs,t,1,2,3,4,A\nS.svs,t,1,2,3,4,B",
            "line 3: 'S.svs' is listed before with another group",
        ),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    pytest.importorskip("shapely")
    _files(tmp_path, "S.svs", "a.geojson")
    (tmp_path / "slides.csv").write_text(text)
    with pytest.raises(ValueError) as error:
        annotated_slides(tmp_path)
    assert message in str(error.value)


def test_a_slide_of_a_table_that_is_not_there(tmp_path):
    _files(tmp_path, "S.svs", "a.geojson")
    (tmp_path / "t.csv").write_text("slide;annotations;Patient ID\nS.svs;a.geojson;P7\nT.svs;a.geojson;P8")
    found, faults, table = annotated_slides(tmp_path / "t.csv")
    assert _names(found) == {("S", "a.geojson", "P7")} and table == tmp_path / "t.csv"
    assert faults == [f"{tmp_path / 'T.svs'}: no such file"]
