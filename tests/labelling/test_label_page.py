"""The file of the page: complete, closed to all that is outside, and no name in it is code."""

from __future__ import annotations

import json
import re

import pytest
from label_browser import KEYS, at, kept, label_content, labels, press, ready, table, write_label_folder
from scripts.labelling.label_page import write_label_page

ODD = 'a, "b" </script>'


def test_page_holds_content_and_every_script(tmp_path):
    content = label_content(classes=(ODD, "<!-- b"))
    path = write_label_page(tmp_path / "deep" / "label.html", content)
    text = path.read_text(encoding="utf-8")
    held = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, flags=re.S)[1]
    assert json.loads(held) == content
    assert "<" not in held
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert [p.name for p in path.parent.iterdir()] == ["label.html"]


def test_what_is_no_json_leaves_no_page(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_label_page(tmp_path / "label.html", label_content(mpp=float("nan")))
    assert not list(tmp_path.iterdir())


def test_odd_class_name_is_shown_kept_and_exported(label):
    page = label(label_content(classes=(ODD, "b")))
    assert page.locator(".class .name").first.inner_text().startswith(ODD)
    press(page, "1", "Enter")
    kept(page)
    assert table(page)[0][-2:] == [ODD, "b"]
    assert labels(page) == {"p0": "10"}
    assert page.inner_text("#said") == f"kept: {ODD}"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": 2}, "This page holds patches in format 2, and its script reads format 1."),
        ({"patches": [], "order": []}, "This page holds no patches"),
        ({"classes": []}, "This page holds no classes"),
        (
            {"patches": [label_content()["patches"][0]] * 2, "order": [0, 1]},
            "The patch patches/p0.png is on this page twice",
        ),
        ({"classes": label_content(classes=("a", "a"))["classes"]}, "The name a would stand for two columns"),
        ({"classes": label_content(classes=("seconds",))["classes"]}, "The name seconds would stand for two columns"),
        ({"order": [0, 1, 2, 3, 4, 6]}, "The order of this page names patch 6; there are 6"),
        ({"order": [0, 1, 2, 3, 4]}, "The order of this page leaves out patches/p5.png"),
        ({"order": [0, 0, 0, 1, 2, 3, 4, 5]}, "shows patches/p0.png 3 times"),
    ],
)
def test_content_that_cannot_be_labelled_is_said_so(browser, tmp_path, changes, message):
    page = browser.new_page()
    page.goto(write_label_folder(tmp_path, {**label_content(), **changes}))
    shown = page.wait_for_selector(".stopped").inner_text()
    assert shown.startswith(message) or message in shown
    assert page.locator("button").count() == 0
    page.close()


def test_no_request_leaves_the_machine(label):
    asked = []
    page = label(
        script="window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.effectiveDirective))"
    )
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    ready(page)
    press(page, "1", "Enter", "g", "2", "Enter")
    kept(page)
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)
    tried = page.evaluate("""async () => {
      const failed = await fetch("http://127.0.0.1:9/").then(() => "sent", () => "refused");
      const image = new Image();
      image.src = "http://127.0.0.1:9/p.png";
      await image.decode().catch(() => {});
      return failed;
    }""")
    assert tried == "refused"
    assert page.evaluate("refused") == ["connect-src", "img-src"]


@pytest.mark.parametrize("size, touch", [((800, 600), False), ((800, 1100), True), ((390, 844), True), ((1400, 900), False)])
def test_layout_fits_and_can_be_touched(label, size, touch):
    names = [f"class {k} with a rather long name" for k in range(19)]
    page = label(label_content(classes=names), viewport={"width": size[0], "height": size[1]}, has_touch=touch)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    heights = page.evaluate(
        "[...document.querySelectorAll('.class, #answers button')].map((b) => b.getBoundingClientRect().height)"
    )
    assert len(heights) == 19 + 4 and min(heights) >= 44
    edges = page.evaluate(
        "[...document.querySelectorAll('button')].map((b) => b.getBoundingClientRect()).map((r) => [r.left, r.right])"
    )
    assert min(left for left, _ in edges) >= 0 and max(right for _, right in edges) <= size[0]
    assert page.evaluate("Labelling.find('stage').clientHeight") >= size[1] * 0.4
    bottom, top = page.evaluate(
        "[Labelling.find('patch').getBoundingClientRect().bottom, Labelling.find('tools').getBoundingClientRect().top]"
    )
    assert bottom <= top  # nothing lies over the patch
    press(page, KEYS[18], "Enter")  # the last letter is a class, too
    assert labels(page)["p0"] == "0" * 18 + "1"
    if touch:
        page.locator(".class").nth(1).tap()
        page.locator("[data-command=keep]").tap()
        assert labels(page)["p1"] == "01" + "0" * 17


def test_strip_has_few_elements_however_many_patches(label):
    page = label(label_content(3000), missing=range(20, 3000), viewport={"width": 1000, "height": 700})
    assert page.locator("#strip button").count() <= 20
    page.evaluate("Labelling.app.show(1500)")
    assert page.locator("#strip button").count() <= 20
    assert page.get_attribute("#strip [aria-current]", "aria-label") == "patch 1501, open"
    page.locator("#strip button").first.click()
    assert at(page) != "p1500"
