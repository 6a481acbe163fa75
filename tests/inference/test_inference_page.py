"""The page of all images, read as a browser reads it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.pictures import class_areas
from scripts.inference.inference_page import write_inference_page
from scripts.inference.results import made_from

FACTS = DatasetFacts(classes=("TE", "<NEC>", "LYM"), descriptions=("tumour", "<NEC>", "LYM"), white_background=True, mpp=0.5)
MASKS = {"sure": [[0, 0], [0, 1]], "unsure & <b>": [[2, 2], [3, 2]], "white": [[3, 3], [3, 3]]}


class _Parsed(HTMLParser):
    """Rows of the table as texts, figures with their layers and scale bars, and everything that is loaded."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.figures, self.loads, self.open, self.boxes, self.text = [], [], [], [], 0, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("img", "meta", "br", "input", "col"):
            self.open.append(tag)
        self.boxes += tag == "input" and "data-class" in given
        self.loads += [v for k, v in attributes if k in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td") and "tr" in self.open:
            self.rows[-1].append("")
        elif tag == "figure":
            self.figures.append({"layers": {}, "scale": None, "text": ""})
        elif tag == "img" and given.get("class") == "layer":
            self.figures[-1]["layers"][int(given["data-class"])] = given["src"]
        elif tag == "i" and self.figures and "figure" in self.open and "title" not in given:
            self.figures[-1]["scale"] = float(re.search(r"width:([\d.]+)%", given["style"])[1])

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text += data
        if "th" in self.open or "td" in self.open:
            self.rows[-1][-1] += data
        elif "figure" in self.open:
            self.figures[-1]["text"] += data


@pytest.fixture
def made(tmp_path):
    """Images of 200 x 200 px, their label maps, and their results; the pixel size of one is unknown."""
    folder, results = tmp_path / "out", {}
    certainty = {"sure": 0.9, "unsure & <b>": 0.25, "white": None}
    for name, mask in MASKS.items():
        mask = np.kron(np.array(mask, np.uint8), np.ones((100, 100), np.uint8))
        mpp, file = None if name == "white" else (0.5, 0.3), tmp_path / f"{name}.png"
        write_image(file, np.full((200, 200, 3), 128, np.uint8))
        write_mask(folder / f"{name}_mask.png", mask, FACTS)
        results[name] = {
            "image": str(file), "mpp": mpp, "areas": class_areas(mask, FACTS, mpp), "certainty": certainty[name],
            "made_from": made_from({"image": str(file)}),
        }  # fmt: skip
    return folder, results


def _page(made, **settings):
    return _Parsed(write_inference_page(*made, FACTS, **settings).read_text(encoding="utf-8"))


def test_rows_stand_in_the_order_of_their_certainty(made):
    page = _page(made)
    assert page.rows[:5] == [
        ["image", "certainty", "tissue", "TE, %", "TE, mm²", "<NEC>, %", "<NEC>, mm²", "LYM, %", "LYM, mm²"],
        ["unsure & <b>", "0.250", "", "0.0", "0", "0.0", "0", "100.0", "0.0045"],
        ["sure", "0.900", "", "75.0", "0.0045", "25.0", "0.0015", "0.0", "0"],
        ["white", "–", "", "–", "–", "–", "–", "–", "–"],
        ["all images", "0.621", "", "42.9", "0.0045", "14.3", "0.0015", "42.9", "0.0045"],
    ]
    assert "1 image was found without tissue: white" in page.text and "white (1 of 3)" in page.text


def test_pictures_have_a_layer_for_each_class_and_a_scale_bar(made):
    page = _page(made)
    assert [re.match(r"(?:20 µm)?(.*?)certainty", f["text"])[1] for f in page.figures] == ["unsure & <b>", "sure", "white"]
    assert [sorted(f["layers"]) for f in page.figures] == [[2], [0, 1], []] and page.boxes == 3
    # 200 px of 0.3 µm are 60 µm, of which a third is 20
    assert [f["scale"] for f in page.figures] == [33.33, 33.33, None]
    layer = Image.open(io.BytesIO(base64.b64decode(page.figures[1]["layers"][1].split(",")[1]))).convert("RGBA")
    found = np.asarray(layer)
    assert found.shape == (200, 200, 4) and tuple(found[150, 150]) == (*FACTS.palette[1], 255)
    assert (found[:100, :, 3] == 0).all() and (found[100:, 100:, 3] == 255).all()


def test_it_loads_nothing_and_says_where_maps_of_certainty_are(made):
    page = _page(made, certainty=True)
    text = (made[0] / "report.html").read_text(encoding="utf-8")
    assert "[hidden] { display: none !important; }" in text  # layers are blocks, also those that are switched off
    assert page.loads and all(load.startswith("data:image/") for load in page.loads)
    assert "unsure & <b>_certainty.png" in page.figures[0]["text"]
    assert "_certainty" not in _page(made).text


def test_skipped_images_are_named_and_no_text_is_taken_for_html(made):
    path = write_inference_page(*made, FACTS, faults=["/x/<i>.png: truncated & gone"])
    text = path.read_text(encoding="utf-8")
    assert "1 image was skipped" in text and "<li>/x/&lt;i&gt;.png: truncated &amp; gone</li>" in text
    assert "<NEC>" not in text and "unsure & <b>" not in text


def test_no_more_pictures_than_asked_for_and_none_of_what_is_gone(made, tmp_path):
    page = _page(made, gallery=1)
    assert len(page.figures) == 1 and "1 of 3 images" in page.text and len(page.rows) >= 5
    assert not _page(made, gallery=0).figures
    (tmp_path / "sure.png").unlink()
    page = _page(made)
    assert len(page.figures) == 2 and page.rows[2][0] == "sure"


def test_without_an_image_there_is_a_page(tmp_path):
    page = _Parsed(write_inference_page(tmp_path, {}, FACTS, faults=["a.png: gone"]).read_text(encoding="utf-8"))
    assert not page.rows and not page.figures and "a.png: gone" in page.text


def test_without_a_pixel_size_there_is_no_column_of_mm2(made):
    folder, results = made
    for row in results.values():
        row["mpp"] = None
        for area in row["areas"].values():
            area.pop("mm2", None)
    page = _page((folder, {**results, "old": {"image": "x", "areas": {"TE": None}, "made_from": "x"}}))
    assert page.rows[0] == ["image", "certainty", "tissue", "TE, %", "<NEC>, %", "LYM, %"]
    assert page.rows[3:5] == [["old", "–", "", "–", "–", "–"], ["white", "–", "", "–", "–", "–"]]
