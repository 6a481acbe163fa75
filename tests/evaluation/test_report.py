from __future__ import annotations

import csv
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from browsers import FLAGS, find_browser, sections_seen
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.metrics import ConfusionMatrix
from scripts.evaluation.label_figures import label_figures
from scripts.evaluation.report import Report, write_report
from scripts.evaluation.report_run import error_map, picture_of, ranked, scores_csv
from scripts.pages import Case

FACTS = DatasetFacts(classes=("a<b", "c"), white_background=True)


def _results(scores, method="segmenter & gate", **more):
    return {"method": method, "scores": scores, "images": {"<img>": scores[method]}, **more}


@pytest.fixture
def report(rng):
    matrices = {}
    for name, share in (("majority class (a<b)", 0.0), ("CAM x", 0.6), ("segmenter & gate", 0.8)):
        truth = rng.integers(0, 2, 1000)
        matrices[name] = ConfusionMatrix(2)
        matrices[name].update(np.where(rng.random(1000) < share, truth, 0), truth)
    picture = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    panels = [("image", picture), ("truth", picture), ("prediction", picture), ("errors", picture)]
    case = Case("<img src=x>", 0.5, panels, "note & more", [("CAM x", picture)], mpp=0.5)
    return Report(
        title="<script>alert(1)</script>",
        facts=FACTS,
        results=_results({k: m.scores(FACTS.classes) for k, m in matrices.items()}),
        histories={"train": [{"epoch": e, "train_loss": 1 / e, "val_miou": 1 - 1 / e} for e in range(1, 6)]},
        trainings={"train": {"keep": None, "epoch": 5}},
        labels=label_figures(np.array([[1, 0], [1, 1]]), ["g", "h"], FACTS.classes),
        pseudo_masks={
            "patches": 3,
            "pixels": {"x": {"a<b": 1, "c": 3, "white background": 0}},
            "agreement": {"x/y": 0.5},
            "scores": {},
        },  # fmt: skip
        worst=[case],
        best=[case],
        environment={"seed": 0, "packages": {"torch": "2"}},
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
    assert not {"link", "iframe"} & set(page.tags) and not re.search(r"url\(|@import|https?://", text)
    assert page.tags.count("script") == 1 and "default-src 'none'" in text  # its own, and the browser loads nothing
    assert "&lt;script&gt;" in text and "segmenter &amp; gate" in text and "a&lt;b" in text
    assert page.tags.count("img") == 10 and page.tags.count("polyline") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_best_of_each_column_is_marked(tmp_path, report):
    text = write_report(tmp_path / "r.html", report).read_text()
    best = f"{100 * report.results['scores']['segmenter & gate']['miou']:.1f}"
    assert f"<td class=best>{best}</td>" in text


def test_figures_that_read_the_same_are_both_marked(tmp_path, report):
    twin = {**report.results["scores"]["segmenter & gate"]}
    twin["miou"] -= 1e-6
    report.results["scores"]["segmenter"] = twin
    plain = write_report(tmp_path / "r.html", report).read_text()
    rows = re.findall(r'<tr[^>]*><th scope="row">(segmenter[^<]*)</th>(.*?)</tr>', plain)
    assert len(rows) == 2 and rows[0][1] == rows[1][1] and rows[0][1].startswith("<td class=best>")


def test_undefined_scores_are_dashes_and_never_best(tmp_path, report):
    report.results = _results({"segmenter & gate": ConfusionMatrix(2).scores(FACTS.classes)})
    report.pseudo_masks = {}
    text = write_report(tmp_path / "r.html", report).read_text()
    assert text.count("<td>–</td>") == 7 + 6 and "class=best" not in text  # of the method, and of its image
    assert "nothing is scored" in text


def test_true_pixels_behind_the_figures_are_shown(tmp_path, report):
    matrix = ConfusionMatrix(2)
    matrix.update(np.repeat([0, 1], [3000, 1000]), np.repeat([0, 1], [3000, 1000]))
    report.results = _results({"segmenter & gate": matrix.scores(FACTS.classes), "majority class (c)": matrix.scores("ab")})
    text = write_report(tmp_path / "r.html", report).read_text()
    assert "<td>3,000<br>75.0 %</td><td>1,000<br>25.0 %</td>" in text


def test_header_says_what_was_scored(tmp_path, report):
    report.facts = DatasetFacts(classes=("a<b", "c"), name="<set>", mpp=0.5, patch_size=(112, 96))
    report.environment = {"git_commit": "0123456789abcdef-dirty", "seed": 7}
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", write_report(tmp_path / "r.html", report).read_text()))
    assert facts["Dataset"] == "&lt;set&gt;" and facts["Pixel size"] == "0.5 µm" and facts["Patch"] == "112 × 96 px"
    assert facts["Commit"] == "0123456789 (dirty)" and facts["Seed"] == "7" and facts["Test images"] == "1"
    assert "tissue" in facts["White background"]


def test_smallest_report(tmp_path, report):
    least = Report("t", FACTS, report.results)
    text = write_report(tmp_path / "r.html", least).read_text()
    assert "Scores" in text and "Worst cases" not in text and "Training curves" not in text and "Pseudo masks" not in text


def test_wide_tables_can_be_scrolled_by_keyboard_and_pictures_are_described(tmp_path, report):
    text = write_report(tmp_path / "r.html", report).read_text()
    regions = re.findall(r'<div class="scroll"[^>]*>', text)
    assert len(regions) == 6 and all('tabindex="0"' in r and "aria-label=" in r for r in regions)
    assert re.findall(r'alt="([^"]*)"', text)[0] == "image of &lt;img src=x&gt;"


def test_seen_in_a_browser(tmp_path, report):
    browser, page = find_browser(), write_report(tmp_path / "r.html", report)
    picture = tmp_path / "r.png"
    subprocess.run(
        [browser, *FLAGS, "--window-size=1200,1600", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (1600, 1200, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500  # text, tables, charts, pictures: not a blank page
    swatch = np.array(FACTS.palette[0])
    assert (pixels[:500] == swatch).all(axis=2).sum() > 50  # the legend shows the class's colour at the top
    seen = sections_seen(page, tmp_path)
    assert {
        "Scores",
        "Worst cases",
        "All images",
        "Training curves",
        "Labels of the training patches",
        "Pseudo masks",
    } <= set(seen)
    assert all(height > 40 and not broken for height, broken in seen.values()), seen


def test_csv(report):
    rows = list(csv.DictReader(scores_csv(report.results["scores"], FACTS.classes).splitlines()))
    assert [r["method"] for r in rows] == list(report.results["scores"])
    assert float(rows[2]["miou"]) == report.results["scores"]["segmenter & gate"]["miou"] and "iou c" in rows[0]


def _row(name, truth, prediction):
    matrix = ConfusionMatrix(2)
    matrix.update(np.array(prediction), np.array(truth))
    return {"name": name, "scores": matrix.scores(FACTS.classes)}


def test_cases_are_ranked_by_frequency_weighted_iou():
    """One stray pixel in a region of one class halves its mIoU; it is a good case all the same."""
    pure = _row("pure", [0] * 100, [0] * 99 + [1])
    poor = _row("poor", [0] * 50 + [1] * 50, [0] * 50 + [0] * 10 + [1] * 40)
    empty = _row("empty", [255], [0])
    assert pure["scores"]["miou"] < poor["scores"]["miou"]
    worst, best = ranked([pure, empty, poor], gallery=2)
    assert [r["name"] for r in worst] == ["poor"] and [r["name"] for r in best] == ["pure"]
    assert picture_of([*best, *worst]) is poor and picture_of(best) is pure
    assert ranked([empty], gallery=4) == ([empty], [])
    worst, best = ranked([_row(str(i), [0] * 10, [0] * i + [1] * (10 - i)) for i in range(10)], gallery=6)
    assert [r["name"] for r in worst] == ["0", "1", "2"] and [r["name"] for r in best] == ["9", "8", "7"]


def test_errors_are_red_where_there_is_a_truth():
    image = np.full((1, 4, 3), (200, 100, 0), np.uint8)
    picture = error_map(image, np.array([[0, 1, 0, 1]]), np.array([[0, 0, 255, 2]]), FACTS)
    red, pale = (picture[0] == (200, 0, 40)).all(axis=1), picture[0].min(axis=1)
    assert red.tolist() == [False, True, False, False] and pale[2] == pale[3] > pale[0]
    assert (np.ptp(picture[0][~red], axis=1) == 0).all()  # grey


def test_images_stand_worst_first_with_their_certainty(tmp_path, report):
    one, two = (dict(report.results["scores"][name]) for name in ("CAM x", "segmenter & gate"))
    report.results["images"] = {"b <good>": {**two, "certainty": 0.875}, "a": {**one, "certainty": None}}
    text = write_report(tmp_path / "r.html", report).read_text()
    table = text[text.index('aria-label="Scores per image"') :]
    assert re.findall(r'<th scope="row">([^<]*)</th>', table)[:2] == ["a", "b &lt;good&gt;"]
    assert "<td>87.5</td>" in table and "data-sortable" in table[: table.index(">") + 200]


def test_what_training_was_told_and_which_epoch_is_kept(tmp_path, report):
    text = write_report(tmp_path / "r.html", report).read_text()
    assert "segmenter: epoch 5 of 5 is kept, the last one (keep: null), as the few images that validate say little" in text
    assert '<th scope="row">c</th><td>1</td><td>50.0</td><td>0</td><td>1</td>' in text  # in one of two patches, never alone


def test_certainty_and_borders_are_shown_where_they_were_measured(tmp_path, report):
    found = {"risk": 0.2, "aurc": 0.06, "oracle": 0.02, "gain": 7 / 9, "pixels": 10}
    near, beyond = {"pixels": 100, "wrong": 40}, {"pixels": 300, "wrong": 20}
    report.results.update(
        risk_coverage=found, borders={report.results["method"]: {"distance": 10.0, "near": near, "beyond": beyond}}
    )
    report.curve = [(k / 10, k / 50) for k in range(1, 11)]
    text = write_report(tmp_path / "r.html", report).read_text()
    assert "certainty goes 78 % of the way" in text and "<td>40.0</td><td>6.7</td><td>66.7</td>" in text
    assert "25.0 % of the pixels lie within 10 px" in text
