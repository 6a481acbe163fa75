from __future__ import annotations

import gzip
import json
import uuid

import numpy as np
import pytest
from made_maps import FACTS, WHITE, Rows, smooth_map
from scripts.slides.qupath import read_qupath, write_qupath

pytest.importorskip("rasterio.features")
shapely = pytest.importorskip("shapely")
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}


def write(path, labels, **options):
    return write_qupath(path, Rows(labels), FACTS, (1.0, 1.0), (4.0, 2.0), (100, 1000), name="slide", **options)


def feature(geometry=SQUARE, **properties):
    return {"type": "Feature", "id": "x", "geometry": geometry, "properties": properties}


def saved(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_features_are_as_qupath_wants_them(tmp_path):
    labels = smooth_map((200, 300), 8)
    counted = write(tmp_path / "a.geojson", labels)
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection" and len(content["features"]) == counted["polygons"]
    for one in content["features"]:
        properties = one["properties"]
        uuid.UUID(one["id"])
        assert properties["objectType"] == "annotation" and properties["isLocked"] is True
        index = FACTS.classes.index(properties["classification"]["name"])
        assert properties["classification"]["color"] == list(FACTS.palette[index])
        assert one["geometry"]["type"] == "Polygon"
    assert len({one["id"] for one in content["features"]}) == counted["polygons"]
    for index, name in enumerate(FACTS.classes):  # areas of pixels, though borders are simplified
        of_class = [f["properties"] for f in content["features"] if f["properties"]["classification"]["name"] == name]
        assert sum(p["measurements"]["Area µm^2"] for p in of_class) == (labels == index).sum()


def test_coordinates_are_of_level_0(tmp_path):
    labels = np.full((40, 60), WHITE, np.uint8)
    labels[10:20, 30:50] = 1
    write(tmp_path / "a.geojson", labels, simplify=0, locked=False)
    (region,) = read_qupath(tmp_path / "a.geojson")
    assert region.name == "stroma" and region.shape.bounds == (1060, 140, 1100, 180)
    assert region.properties["isLocked"] is False


def test_same_map_same_bytes_and_packed_too(tmp_path):
    labels = smooth_map((200, 300), 8)
    for name in ("a.geojson", "b.geojson", "a.geojson.gz", "b.geojson.gz"):
        write(tmp_path / name, labels)
    plain, packed = ((tmp_path / n).read_bytes() for n in ("a.geojson", "a.geojson.gz"))
    assert plain == (tmp_path / "b.geojson").read_bytes() and packed == (tmp_path / "b.geojson.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert [r.shape for r in read_qupath(tmp_path / "a.geojson.gz")] == [
        r.shape for r in read_qupath(tmp_path / "a.geojson")
    ]
    assert all(r.shape.is_valid for r in read_qupath(tmp_path / "a.geojson"))


def test_an_empty_map_is_a_file_that_opens(tmp_path):
    assert write(tmp_path / "a.geojson", np.full((9, 9), WHITE, np.uint8)) == {"polygons": 0, "corners": 0}
    assert read_qupath(tmp_path / "a.geojson") == []


@pytest.mark.parametrize(
    "properties, name",
    [
        ({"classification": {"name": "Tumor", "color": [1, 2, 3]}}, "Tumor"),
        ({"classification": {"name": " Tumor ", "colorRGB": -3670016}}, "Tumor"),
        ({"classification": {"names": ["Tumor", "Positive"]}}, "Tumor: Positive"),
        ({"objectType": "annotation"}, ""),
        ({"classification": None}, ""),
    ],
)
def test_reads_classes_of_all_versions(properties, name, tmp_path):
    for content in (
        {"type": "FeatureCollection", "features": [feature(**properties)]},
        [feature(**properties)],
        feature(**properties),
    ):
        (region,) = read_qupath(saved(tmp_path / "a.geojson", content))
        assert region.name == name and region.shape.area == 81 and region.properties == properties


def test_reads_points_and_repairs_what_crosses_itself(tmp_path):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]}
    found = read_qupath(saved(tmp_path / "a.geojson", [feature({"type": "Point", "coordinates": [3, 4]}), feature(bow)]))
    assert found[0].shape.coords[0] == (3, 4)
    assert found[1].shape.is_valid and found[1].shape.area == pytest.approx(8)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "not readable as JSON"),
        ("[" * 100_000, "deeper than"),
        ("3", "no list of features"),
        ([feature(), {"type": "Polygon"}], "feature 2: expected a Feature"),
        ([feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]})], "feature 1: no geometry"),
        ([feature({"type": "Polygon", "coordinates": []})], "feature 1: an empty geometry"),
        ([feature(classification={"name": 3})], "feature 1: a classification of"),
        ([{"type": "Feature"}] * 9, "and 6 more"),
    ],
)
def test_bad_files_are_named_in_one_message(content, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        read_qupath(saved(tmp_path / "bad.geojson", content))
    assert "bad.geojson: " in str(caught.value) and "\n" not in str(caught.value)


def test_bounded_size_and_damaged_packing(tmp_path):
    (tmp_path / "bomb.geojson.gz").write_bytes(gzip.compress(b" " * 10**6))
    with pytest.raises(ValueError, match="more than 0 MB unpacked"):
        read_qupath(tmp_path / "bomb.geojson.gz", largest=10**5)
    (tmp_path / "cut.geojson.gz").write_bytes(gzip.compress(b"[]" * 10**5)[:-20])
    with pytest.raises(ValueError, match="damaged gzip"):
        read_qupath(tmp_path / "cut.geojson.gz")
