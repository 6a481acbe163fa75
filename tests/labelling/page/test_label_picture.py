"""The picture on the stage: its tissue around, zoom, and pictures that cannot be read."""

from __future__ import annotations

import pytest
from label_browser import at, label_content, labels, press, ready, until
from PIL import Image


def test_picture_that_cannot_be_read_counts_as_open(label):
    page = label(missing=(1,))
    press(page, "1", "Enter")
    page.wait_for_selector("#unreadable:visible")
    assert page.inner_text("#unreadable") == "this picture cannot be read: patches/p1.png"
    press(page, "1", "Enter", "0")
    assert labels(page) == {"p0": "100"} and at(page) == "p1"
    press(page, "ArrowRight", "g")
    page.wait_for_selector("#nine:visible")
    press(page, "g", "ArrowLeft", "x")
    assert labels(page) == {"p0": "100", "p1": "?"}


def test_picture_that_cannot_be_read_is_not_answered_with_others(label):
    page = label(missing=(2,))
    press(page, "g")
    page.get_by_text("this picture cannot be read: patches/p2.png").wait_for()
    press(page, "ArrowRight", " ", "1", "Enter")  # nor taken by key
    assert labels(page) == {"p0": "100", "p4": "100"}


def test_context_stands_around_the_patch_and_may_be_missing(label, tmp_path):
    content = label_content(3)
    (tmp_path / "patches").mkdir()
    Image.new("RGB", (96, 64), (200, 100, 150)).save(tmp_path / "around.png")
    for patch in content["patches"][:2]:
        patch.update(context="around.png" if patch["image"].endswith("p0.png") else "none.png", box=[16, 48, 16, 16])
    page = label(content, viewport={"width": 1200, "height": 800})
    boxes = """() => ["patch", "around"].map((id) => { const r = Labelling.find(id).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })"""
    (left, top, width, height), around = page.evaluate(boxes)
    assert around == pytest.approx([left - 3 * width, top - height, 6 * width, 4 * height], abs=0.1)
    press(page, "c")
    assert page.locator("#around").is_hidden()
    press(page, "c", "1", "Enter")
    assert page.locator("#around").is_hidden() and page.locator("#unreadable").is_hidden()
    assert page.locator("#patch img").is_visible()


def test_names_of_patch_and_slide_can_be_copied(label):
    page = label(
        label_content(2, patches=[{**p, "group": None} if k else p for k, p in enumerate(label_content(2)["patches"])])
    )
    press(page, "1", "Enter", "1", "Enter")
    page.evaluate("Labelling.app.show(0)")
    assert page.inner_text("#which").split() == ["p0.png", "slide", "0"]
    assert page.get_attribute("#which", "title") == "patches/p0.png\nslide 0"
    page.click("#image")  # all of it is selected
    assert page.evaluate("String(getSelection())") == "p0.png"
    press(page, "ArrowRight")
    assert page.inner_text("#which").strip() == "p1.png"
    press(page, "g")
    assert page.locator("#which").is_hidden()


def test_names_do_not_tell_a_second_look(label):
    page = label(label_content(2, order=[0, 1, 0]))
    shown = "[Labelling.find('which').innerText.trim(), Labelling.find('which').title]"
    top = "document.querySelector('.class').getBoundingClientRect().top"
    tops = {page.evaluate(top)}
    for _ in range(2):
        assert page.evaluate(shown) == ["", ""]
        press(page, "1", "Enter")
    assert at(page) == "p0" and page.evaluate(shown) == ["", ""]  # the second look, though the first is answered
    press(page, "ArrowLeft")
    assert page.inner_text("#which").split()[0] == "p1.png"
    tops.add(page.evaluate(top))
    press(page, "ArrowRight", "2", "Enter")
    page.evaluate("Labelling.app.show(2)")
    assert page.inner_text("#which").split()[0] == "p0.png"
    assert len(tops) == 1  # no button moves


@pytest.mark.parametrize("patch_size", [[32, 32], []])
def test_pictures_have_their_own_size(label, tmp_path, patch_size):
    page = label(label_content(3, patch_size=patch_size), missing=(0, 1, 2), viewport={"width": 1200, "height": 800})
    Image.new("RGB", (120, 40), (200, 100, 150)).save(tmp_path / "patches" / "p0.png")
    Image.new("RGB", (40, 60), (200, 100, 150)).save(tmp_path / "patches" / "p1.png")
    page.reload()
    ready(page)
    for height, width in ((40, 120), (60, 40)):
        until(page, f"document.querySelector('#patch img').naturalWidth === {width}")
        until(page, f"Labelling.find('patch').clientWidth / Labelling.find('patch').clientHeight > {0.98 * width / height}")
        shown = page.evaluate("(({ width, height }) => [width, height])(Labelling.find('patch').getBoundingClientRect())")
        assert shown[0] / shown[1] == pytest.approx(width / height, rel=1e-3)
        stage, room = page.evaluate("[Labelling.find('stage').clientWidth, Labelling.find('stage').clientHeight - 66]")
        assert max(shown[0] / stage, shown[1] / room) == pytest.approx(0.97, abs=1e-3)
        bar = page.evaluate("document.querySelector('#scale i').getBoundingClientRect().width")
        length = float(page.inner_text("#scale").removesuffix(" µm"))
        assert bar / length == pytest.approx(shown[0] / (0.5 * width), rel=1e-3)  # 0.5 µm for each px of the picture
        press(page, "ArrowRight")


def test_zoom_keeps_the_point_under_the_mouse(label):
    page = label(viewport={"width": 1200, "height": 800})
    place = "() => { const r = Labelling.find('patch').getBoundingClientRect(); return [r.left, r.top, r.width]; }"
    left, top, width = page.evaluate(place)
    x, y = left + width / 4, top + width / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400 * 0.6931471805599453)  # twice as large
    until(page, "Labelling.app.picture.zoom > 1.9")
    assert page.evaluate(place) == pytest.approx([x - width / 2, y - width, 2 * width], abs=1)
    assert page.inner_text("#zoom") == "200 %"
    page.mouse.down()
    page.mouse.move(x + 40, y - 10)
    page.mouse.up()
    assert page.evaluate(place)[:2] == pytest.approx([x - width / 2 + 40, y - width - 10], abs=1)
    page.click("[data-command=fit]")
    assert page.evaluate(place) == pytest.approx([left, top, width])
    press(page, "+", "-")
    assert page.evaluate(place) == pytest.approx([left, top, width])
