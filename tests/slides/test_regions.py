from __future__ import annotations

import json

import pytest
from scripts.slides.qupath import Region, _class_name
from scripts.slides.regions import NOT_SAID, ClassNames, Frame, read_regions

shapely = pytest.importorskip("shapely")

NAMES = ClassNames(["TUM", "STR", "benign, other"], ["Tumour epithelium", "Stroma", "Other"])
FRAME = Frame("S.geojson", (1000, 2000), (100, 100))


def _feature(kind, coordinates, properties):
    shape = shapely.from_geojson(json.dumps({"type": kind, "coordinates": coordinates}))
    return Region(_class_name(properties.get("classification")), shape, properties)


def _box(top, left, height, width, properties):
    bottom, right = top + height, left + width
    return _feature("Polygon", [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]], properties)


def _class(name):
    return {"objectType": "annotation", "classification": {"name": name}}


@pytest.mark.parametrize(
    ("text", "classes", "unknown"),
    [
        ("TUM", (0,), []),
        (" tumour  EPITHELIUM", (0,), []),
        ("str: tum", (0, 1), []),
        ("Stroma + Tumour epithelium", (0, 1), []),
        ("benign, other", (2,), []),  # a name with a comma is no list
        ("tum|other;str,", (0, 1, 2), []),
        ("tum: Positive", (0,), ["Positive"]),
        ("fat", (), ["fat"]),
        ("", (), []),
    ],
)
def test_names_of_classes(text, classes, unknown):
    assert NAMES.find(text) == (classes, unknown)


def test_an_unknown_name_comes_with_the_nearest():
    assert NAMES.near("Strom") == "none of the classes TUM, STR, benign, other; is 'STR' meant?"
    assert "meant" not in NAMES.near("xyz")


def test_qupaths_ways_to_say_a_class():
    said = [
        {"classification": {"name": "TUM: STR"}},
        {"classification": {"names": ["TUM", "STR"], "color": [1, 2, 3]}},
        {"classification": "TUM: STR"},
        {"name": "TUM, STR"},
        {"classification": {"name": "STR"}, "name": "TUM"},  # the class is what counts
    ]
    found = read_regions([_feature("Point", [30, 40], s) for s in said], NAMES, FRAME)
    assert found.told == [(40.0, 30.0, (0, 1))] * 4 + [(40.0, 30.0, (1,))]


@pytest.mark.parametrize(("side", "told"), [(89, False), (90, True), (150, True), (151, False)])
def test_a_rectangle_of_about_a_patchs_size_is_a_patch(side, told):
    found = read_regions([_box(200, 300, side, 100, _class("TUM"))], NAMES, FRAME)
    assert found.told == ([(200 + side / 2, 350.0, (0,))] if told else []) and len(found.areas) == (not told)
    found = read_regions([_box(200, 300, side, 100, _class("TUM, STR"))], NAMES, FRAME)
    assert len(found.faults) == (not told) and [a.value for a in found.areas] == ([] if told else [NOT_SAID])


def test_a_triangle_of_that_size_is_an_area():
    found = read_regions([_feature("Polygon", [[[0, 0], [100, 0], [0, 100], [0, 0]]], _class("TUM"))], NAMES, FRAME)
    assert not found.told and found.areas[0].size == 5000 and found.areas[0].box == (0, 0, 100, 100)


def test_areas_come_larger_first_and_what_is_ignored_last():
    features = [
        _box(0, 0, 20, 20, _class("Ignore*")),
        _box(0, 0, 30, 10, _class("TUM")),
        _box(0, 0, 400, 400, _class("STR")),
        _box(0, 0, 300, 300, _class("fat") | {"where": "line 7"}),
    ]
    found = read_regions(features, NAMES, FRAME)
    assert [a.value for a in found.areas] == [1, NOT_SAID, 0, NOT_SAID]
    assert found.faults == ["S.geojson, line 7: class 'fat' is none of the classes TUM, STR, benign, other"]


def test_holes_and_parts_count_in_the_area():
    outer, hole = [[0, 0], [40, 0], [40, 10], [0, 10], [0, 0]], [[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]
    part = [[90, 0], [95, 0], [95, 10], [90, 10], [90, 0]]
    (area,) = read_regions([_feature("MultiPolygon", [[outer, hole], [part]], _class("TUM"))], NAMES, FRAME).areas
    assert area.size == 400 - 4 + 50 and area.box == (0, 0, 10, 95)


def test_what_says_nothing_is_passed_over():
    features = [
        _box(0, 0, 400, 400, {"objectType": "annotation"}),
        _box(0, 0, 400, 400, {"objectType": "annotation", "name": "look here"}),
        _box(0, 0, 400, 400, _class("Region*")),
        _box(0, 0, 10, 10, {"objectType": "cell", "classification": {"name": "fat"}}),
        _feature("LineString", [[0, 0], [9, 9]], _class("TUM")),
    ]
    found = read_regions(features, NAMES, FRAME)
    assert (found.areas, found.told, found.faults, found.unnamed) == ([], [], [], 3)


@pytest.mark.parametrize(
    "feature",
    [
        _box(1000, 0, 10, 10, _class("TUM")),
        _box(-10, 0, 10, 10, _class("TUM")),
        _box(0, 2000, 10, 10, _class("TUM")),
        _feature("Point", [5, 1001], _class("TUM")),
    ],
)
def test_outside_the_slide(feature):
    (fault,) = read_regions([feature], NAMES, FRAME).faults
    assert fault.startswith("S.geojson, feature 1: lie outside the slide, which has 1000 x 2000 px")
