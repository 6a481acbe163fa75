from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.pages import Case, LayeredImage, gallery, layered, scale_bar
from scripts.pages.figures import round_length

FACTS = DatasetFacts(classes=("a<", "b", "c"), palette=((255, 0, 0), (0, 0, 255), (0, 255, 0)))


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (1.9, 1), (2, 2), (49, 20), (50, 50), (0.7, 0.5), (1234, 1000)])
def test_round_lengths(most, expected):
    assert round_length(most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("width", "mpp", "share", "text"),
    [(300, 1.0, 100 / 300, "100 µm"), (224, 0.5, 20 / 112, "20 µm"), (9000, 0.5, 1 / 4.5, "1 mm")],
)
def test_scale_bar_is_as_long_as_it_says(width, mpp, share, text):
    found = scale_bar(width, mpp)
    assert float(re.search(r"width:([\d.]+)%", found)[1]) == pytest.approx(100 * share, abs=0.01) and text in found
    assert scale_bar(width, None) == ""


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_layers_are_the_label_map_class_by_class():
    labels = np.array([[0, 0, 1], [255, 1, 1]], np.uint8)
    text = layered([LayeredImage("x<y", np.full((2, 3, 3), 200, np.uint8), labels, "<b>note</b>")], FACTS)
    found = dict(re.findall(r'data-class="(\d)" src="([^"]*)"', text))
    assert sorted(found) == ["0", "1"]  # no layer of a class that is not there
    for key, uri in found.items():
        pixels = np.asarray(decoded(uri).convert("RGBA"))
        where = labels == int(key)
        assert ((pixels[..., 3] > 0) == where).all() and (pixels[where][:, :3] == FACTS.palette[int(key)]).all()
    assert "x&lt;y" in text and "<b>note</b>" in text


def test_layers_of_large_images_are_made_smaller_without_new_classes():
    labels = np.repeat([0, 2], 1000)[None].repeat(1000, axis=0).astype(np.uint8)
    text = layered([LayeredImage("x", np.zeros((1000, 2000, 3), np.uint8), labels)], FACTS, longest=200)
    sizes = {decoded(uri).size for _, uri in re.findall(r'data-class="(\d)" src="([^"]*)"', text)}
    assert sizes == {(200, 100)} and re.findall(r'data-class="(\d)"', text) == ["0", "2"]


def test_gallery_has_one_scale_bar_a_case_and_further_pictures_in_a_row_of_their_own():
    picture = np.zeros((10, 10, 3), np.uint8)
    case = Case("<n>", 0.25, [("image", picture), ("truth", picture)], "so & so", [("map", picture)], mpp=1.0)
    text = gallery([case])
    assert text.count('class="scale"') == 1 and text.count("<figure>") == 3 and "&lt;n&gt; · FwIoU 25.0" in text
    assert text.index('class="panels main"') < text.index('class="panels more"') and "so &amp; so" in text
    assert "panels more" not in gallery([Case("n", None, [("image", picture)])])
