"""The page over all slides of a folder."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from scripts.slides.cohort_page import write_cohort_page


def _row(name, tumour, stroma, state="finished", **more):
    areas = {"tumour": {"mm2": tumour}, "stroma": {"mm2": stroma}} if state == "finished" else None
    for area in (areas or {}).values():
        area["percent"] = 100 * area["mm2"] / (tumour + stroma)
    return {"name": name, "slide": f"/in/{name}.svs", "state": state, "areas": areas, **more}


ROWS = [
    _row("a", 1.5, 0.5),
    _row("b", 0, 0, "failed", error="/in/b.svs: <not> a slide"),
    _row("c<&>", 0.25, 0.75),
    _row("d", 0, 0, "given up"),
]


def _page(tmp_path, rows, colours=None):
    return write_cohort_page(tmp_path / "cohort.html", rows, colours).read_text(encoding="utf-8")


def _cells(page):
    """Texts of the cells, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, flags=re.S)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_a_row_for_each_slide_with_state_or_error_and_areas(tmp_path):
    page = _page(tmp_path, ROWS, {"tumour": (1, 2, 3)})
    assert _cells(page) == [
        ["slide", "picture", "state", "share of tissue", "tumour, mm²", "tumour, %", "stroma, mm²", "stroma, %"],
        ["a", "", "finished", "", "1.5", "75.0", "0.5", "25.0"],
        ["b", "", "/in/b.svs: &lt;not&gt; a slide", "", "–", "–", "–", "–"],
        ["c&lt;&amp;&gt;", "", "finished", "", "0.25", "25.0", "0.75", "75.0"],
        ["d", "", "given up", "", "–", "–", "–", "–"],
    ]
    assert "4 slides: 2 finished, 1 failed, 1 given up" in page and "not finished: b, d" in page
    assert 'title="/in/c&lt;&amp;&gt;.svs"' in page and "data-sortable" in page and "c<&>" not in page
    assert '<td class="text bad" data-value="failed"' in page and '<td class="text" data-value="finished"' in page


def test_bars_and_legend_have_the_colours(tmp_path):
    page = _page(tmp_path, ROWS, {"tumour": (1, 2, 3)})
    assert re.findall(r"width:([\d.]+)%;background:rgb\(1, 2, 3\)", page) == ["75.00", "25.00"]
    assert len(re.findall(r'class="swatch"', page)) == 2 and "background:rgb(1, 2, 3)" in page


def test_pictures_are_small_and_within_the_page(tmp_path):
    Image.fromarray(np.full((600, 900, 3), 128, np.uint8)).save(tmp_path / "a_overlay.jpg")
    (tmp_path / "c<&>_overlay.jpg").write_text("damaged")
    page = _page(tmp_path, ROWS)
    assert page.count("data:image/jpeg") == page.count("<img") == 1 and len(page) < 30000
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


@pytest.mark.parametrize("colours", [None, {"tumour": (1, 2, 3)}])
def test_without_a_slide_there_is_a_page(tmp_path, colours):
    page = _page(tmp_path, [], colours)
    assert "no slides" in page and "<table" not in page
