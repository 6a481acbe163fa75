from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.pages.charts import line_chart

NAN = float("nan")


def ticks(svg: str) -> list[float]:
    return [float(v) for v in re.findall(r'class="tick end">([^<]+)<', svg)]


def test_places_points():
    svg = line_chart("t", {"s": [(1, 0.0), (2, 1.0), (3, NAN)]}, size=(400, 200))
    (points,) = re.findall(r'points="([^"]+)"', svg)
    assert points == "46.0,152.0 388.0,30.0"


@pytest.mark.parametrize("series", [{}, {"s": []}, {"s": [(1, NAN)]}, {"s": [(1, float("inf"))]}])
def test_nothing_to_draw(series):
    assert line_chart("t", series) == ""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.263, 0.648], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        ([0, 1], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([0.05, 0.48], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ([3], [1, 2, 3, 4, 5]),
        ([-40, 90], [-50, 0, 50, 100]),
    ],
)
def test_axis_has_round_values(values, expected):
    assert ticks(line_chart("t", {"s": list(enumerate(values))})) == pytest.approx(expected)


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(st.tuples(st.integers(0, 500), numbers), min_size=1, max_size=20))
def test_everything_lies_inside_and_is_well_formed(points):
    svg = line_chart("a < b & c", {"one": points, "two": points[:1]}, size=(400, 240))
    root = ElementTree.fromstring(svg)
    assert len(root.findall("polyline")) == 2 and len(root.findall("circle")) == len(points) + 1
    for circle in root.iter("circle"):
        assert 46 <= float(circle.get("cx")) <= 388 and 30 <= float(circle.get("cy")) <= 192
    assert 3 <= len(ticks(svg)) <= 8 and ticks(svg) == sorted(set(ticks(svg)))


def test_one_epoch_stands_in_the_middle():
    assert 'cx="217.0"' in line_chart("t", {"s": [(4, 0.5)]}, size=(400, 200))


def test_text_is_escaped_and_said_aloud():
    svg = line_chart('"<b>', {"<i>": [(1, 0.25), (2, 0.75)]})
    assert "<b>" not in svg and "<i>" not in svg
    assert ElementTree.fromstring(svg).get("aria-label") == '"<b>: <i> from 0.25 to 0.75'
