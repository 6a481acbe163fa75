"""What labels have brought and promise, in sentences and on a page."""

from __future__ import annotations

import re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.labelling.learning_curve import LearningCurve
from scripts.labelling.suggestion_page import promises, write_suggestion_page

FACTS = DatasetFacts(("tumour", "stroma"))


def _so_far(slope=1.0, deviation=0.01, counts=(30, 30), total=60, slides=6):
    sizes = (8, 16, 32, 40)
    curve = LearningCurve(
        sizes,
        np.array([0.9 - slope * n**-0.5 for n in sizes]),
        np.full(4, deviation),
        np.full((4, 2), 0.8),
        total,
        0.9,
        slope,
        0.5,
    )
    labels = np.array([[k < counts[0], k < counts[1]] for k in range(60)], int)
    return SimpleNamespace(labels=labels, groups=[str(k % slides) for k in range(60)], curve=curve)


def _texts(found, kind):
    return [v.text for v in found if v.kind == kind]


def test_labels_that_promise_much_are_to_be_gone_on_with():
    (text,) = _texts(promises(_so_far(), FACTS), "watch")
    gain = 60**-0.5 - 160**-0.5
    assert text.startswith(f"The next 100 labels promise {100 * gain:.1f} points")
    assert "which is about 77.1 % now: go on labelling" in text


def test_labels_that_promise_hardly_anything_are_enough():
    (text,) = _texts(promises(_so_far(slope=0.01), FACTS), "good")
    assert "more labels of this tissue will hardly help" in text


def test_scarce_classes_and_few_slides_are_said():
    found = promises(_so_far(deviation=0.2, counts=(60, 4)), FACTS)
    assert any("stroma (4)" in text and "tumour" not in text for text in _texts(found, "watch"))
    assert _texts(found, "note") == ["It varies by 20.0 points with the slides that are held out: more slides make it sure."]


@pytest.mark.parametrize(("count", "why"), [(0, "no dataset was given"), (9, "fewer than 16 labels")])
def test_without_a_curve_it_says_why(count, why):
    so_far = SimpleNamespace(labels=np.ones((count, 2), int), groups=["a"] * count, curve=None)
    assert any(why in text for text in _texts(promises(so_far, FACTS), "note"))


def test_the_page_shows_curves_classes_and_patches(tmp_path, rng):
    suggestions = []
    for k in range(3):
        write_image(tmp_path / "patches" / f"p{k}.png", rng.integers(0, 255, (16, 16, 3)).astype(np.uint8))
        suggestions.append({"name": f"p{k}", "group": "a", "value": float(k), "opinion": np.array([0.5, 0.25 * k])})
    commands = ("train --source '/my labels'", "suggest <all>")
    page = write_suggestion_page(tmp_path, FACTS, _so_far(), suggestions, rng.random((40, 2)), commands, 3)
    text = page.read_text(encoding="utf-8")
    assert text.count('class="chart"') == 2
    assert text.index("p2") < text.index("p1") < text.index("p0")  # those that teach most first
    assert "tumour 50%, stroma 25%" in text
    found = re.findall(r'<div class="command"><pre tabindex="0">(.*?)</pre><button type="button">copy</button>', text)
    assert tuple(map(unescape, found)) == commands
    assert re.findall(r"<h2>(.*?)</h2>", text)[-2:] == ["Next", "How this was made"]
    assert "3 patches of 1 slides or cases" in text and "40 unlabelled patches" in text


@pytest.mark.parametrize("case", [{"total": 49}, {"slides": 4}, {"slope": -0.2}])
def test_of_little_or_a_falling_curve_nothing_is_promised(case):
    found = promises(_so_far(**case), FACTS)
    assert not _texts(found, "good") and "cannot be told yet" in _texts(found, "note")[0]


def test_where_a_class_is_scarce_labels_are_never_enough():
    assert not _texts(promises(_so_far(slope=0.01, counts=(60, 4)), FACTS), "good")
