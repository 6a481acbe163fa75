from __future__ import annotations

import csv
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scripts.charts import line_chart
from scripts.facts import DatasetFacts
from scripts.metrics import ConfusionMatrix
from scripts.report import Case, Report, write_report
from scripts.report_run import scores_csv

FACTS = DatasetFacts(classes=("a<b", "c"), white_background=True)


@pytest.fixture
def report(rng):
    matrices = {}
    for name, share in (("majority class (a<b)", 0.0), ("CAM x", 0.6), ("segmenter & gate", 0.8)):
        truth = rng.integers(0, 2, 1000)
        matrices[name] = ConfusionMatrix(2)
        matrices[name].update(np.where(rng.random(1000) < share, truth, 0), truth)
    picture = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    case = Case("<img src=x>", 0.5, [("image", picture), ("truth", picture)], "note & more")
    return Report(
        title="<script>alert(1)</script>",
        facts=FACTS,
        scores={k: m.scores(FACTS.classes) for k, m in matrices.items()},
        method="segmenter & gate",
        histories={"segmenter": [{"epoch": e, "train_loss": 1 / e, "val_miou": 1 - 1 / e} for e in range(1, 6)]},
        pseudo_masks={
            "patches": 3,
            "pixels": {"x": {"a<b": 1, "c": 3, "white background": 0}},
            "agreement": {"x/y": 0.5},
            "scores": {},
        },  # fmt: skip
        worst=[case],
        best=[case],
        environment={"seed": 0, "packages": {"torch": "2"}},
        images=1,
    )


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "action", "data", "srcset", "xlink:href")]


def test_page_is_self_contained_and_escaped(tmp_path, report):
    text = write_report(tmp_path / "r.html", report).read_text()
    page = _Links()
    page.feed(text)
    assert page.links and all(link.startswith("data:image/") for link in page.links)
    assert not {"script", "link", "iframe"} & set(page.tags) and not re.search(r"url\(|@import|https?://", text)
    assert "&lt;script&gt;" in text and "segmenter &amp; gate" in text and "a&lt;b" in text
    assert page.tags.count("img") == 4 and page.tags.count("polyline") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_best_of_each_column_is_marked(tmp_path, report):
    text = write_report(tmp_path / "r.html", report).read_text()
    best = f"{100 * report.scores['segmenter & gate']['miou']:.1f}"
    assert f"<td class=best>{best}</td>" in text


def test_seen_in_a_browser(tmp_path, report):
    browser = next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    page = write_report(tmp_path / "r.html", report)
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --hide-scrollbars --window-size=1200,1600"
    picture = tmp_path / "r.png"
    subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (1600, 1200, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500  # text, tables, charts, pictures: not a blank page
    swatch = np.array(FACTS.palette[0])
    assert (pixels[:200] == swatch).all(axis=2).sum() > 50  # the legend shows the class's colour at the top


def test_chart_places_points():
    svg = line_chart("t", {"s": [(1, 0.0), (2, 1.0), (3, float("nan"))]}, size=(400, 200))
    (points,) = re.findall(r'points="([^"]+)"', svg)
    assert points == "46.0,166.0 388.0,30.0"
    assert line_chart("t", {"s": []}) == ""


def test_csv(report):
    rows = list(csv.DictReader(scores_csv(report.scores, FACTS.classes).splitlines()))
    assert [r["method"] for r in rows] == list(report.scores)
    assert float(rows[2]["miou"]) == report.scores["segmenter & gate"]["miou"] and "iou c" in rows[0]
