"""The frame of pages, and its script in a real browser."""

from __future__ import annotations

import re

import numpy as np
from browsers import dom
from scripts.core.facts import DatasetFacts
from scripts.pages import LayeredImage, Page, Verdict, layered, share_bar, table, write_page

FACTS = DatasetFacts(classes=("a<b", "c"), descriptions=("a<b", "long & name"), white_background=True)


def test_everything_is_escaped_and_what_is_empty_left_out(tmp_path):
    page = Page(
        "<t>", FACTS, {"Of": "<x>", "Empty": ""}, [Verdict("bad", "a & b")], [("Title <1>", "<p>kept</p>"), ("None", "")],
        command="run '<dir>'", environment={"seed": 0, "packages": {"to<rch": "2"}},
    )  # fmt: skip
    text = write_page(tmp_path / "p.html", page).read_text(encoding="utf-8")
    for part in (
        "<title>&lt;t&gt;</title>", "<dt>Of</dt><dd>&lt;x&gt;</dd>", '<li class="bad">a &amp; b</li>', "Title &lt;1&gt;",
        "<p>kept</p>", "run &#x27;&lt;dir&gt;&#x27;", "packages to&lt;rch", "long &amp; name", "white background",
    ):  # fmt: skip
        assert part in text, part
    assert "Empty" not in text and "<h2>None</h2>" not in text and 'id="opacity"' not in text
    assert [p.name for p in tmp_path.iterdir()] == ["p.html"]


def test_a_bar_of_shares():
    text = share_bar([("a<b", 0.25, (1, 2, 3)), ("c", 0.0, (4, 5, 6)), ("d", 0.75, (7, 8, 9))])
    assert re.findall(r"width:([\d.]+)%;background:rgb\(([^)]*)\)", text) == [("25.00", "1, 2, 3"), ("75.00", "7, 8, 9")]
    assert 'aria-label="a&lt;b 25 %, d 75 %"' in text


def test_in_a_browser_columns_sort_and_classes_switch(tmp_path):
    rows = [["x", (0.5, "50 %")], ["y", "–"], ["z", (9, "9")], ["w", (10, "10")]]
    labels = np.array([[0, 1]], np.uint8)
    picture = layered([LayeredImage("i", np.zeros((1, 2, 3), np.uint8), labels)], FACTS)
    sections = [("T", table("t", ["name", "value"], rows, sortable=True)), ("L", picture)]
    page = write_page(tmp_path / "p.html", Page("t", FACTS, sections=sections, switches=True))
    click = "document.querySelectorAll('th button')[1].click();"
    switch = "const box = document.querySelector('input[data-class=\"1\"]'); box.click();"
    slide = "const o = document.getElementById('opacity'); o.value = 80; o.dispatchEvent(new Event('input'));"

    def names(script):
        found = dom(page, tmp_path, script)
        return re.findall(r'<th scope="row">(\w)</th>', found), found

    order, found = names("")
    assert order == ["x", "y", "z", "w"] and found.count("<button") == 2 and "--opacity: 0.4" in found
    assert not re.search(r'class="layer"[^>]*hidden', found)
    assert names(click)[0] == ["w", "z", "x", "y"]  # by number, not as texts; without a value: last
    assert names(click + click)[0] == ["x", "z", "w", "y"]
    found = names(switch + slide)[1]
    assert re.findall(r'class="layer" data-class="(\d)"[^>]*hidden', found) == ["1"] and "--opacity: 0.8" in found
