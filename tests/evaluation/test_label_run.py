"""A few patches, a table, three regions and no mask: the run ends with a page on what the labels tell."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browsers import find_browser, sections_seen
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import image_size
from scripts.data import prepare
from scripts.evaluation.label_run import mask_layers

CONFIGS = Path(BUNDLE_ROOT) / "configs"
CLASSES = ("gland", "stroma", "fat")
SHADES = {"gland": 60, "stroma": 130, "fat": 190}
LABELS = [("gland",), ("stroma",), ("gland", "stroma"), ("stroma", "fat"), ("gland", "fat"), ("gland", "stroma")]
TINY = {
    "train_classifier": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#layers": ["a", "b", "c"],
        "max_epochs": 2, "batch_size": 4,
    },
    "generate_pseudo_masks": {
        "layers": ["a", "b", "c"], "consensus": [1.0, 1.0, 1.0, 1.0],
        "masker#refinement#weights": {"b": 0.5, "c": 0.5}, "masker#refinement#features": ["a"],
    },
    "train": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#high_layer": "c", "network_def#low_layer": "b",
        "network_def#channels": 8, "max_epochs": 2, "batch_size": 4, "keep": "miou",
    },
}  # fmt: skip


class _Sections(HTMLParser):
    """What stands under each heading of the second level: its text, names of tables and charts, and pictures."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.verdicts, self._tag, self._list = {"": {"text": "", "named": [], "images": 0}}, [], "", ""
        self.at = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._tag = tag
        if tag == "ul":
            self._list = attrs.get("aria-label", "")
        if tag == "li" and self._list == "Verdict":
            self.verdicts.append("")
        if tag == "h2":
            self.at = None
        elif attrs.get("aria-label"):
            self.sections[self.at]["named"].append(attrs["aria-label"])
        if tag == "img":
            self.sections[self.at]["images"] += 1

    def handle_data(self, data):
        if self.at is None:
            self.at = data
            self.sections[data] = {"text": "", "named": [], "images": 0}
            return
        if self._list == "Verdict" and self._tag == "li" and data.strip():
            self.verdicts[-1] += data
        self.sections[self.at]["text"] += data


def _run(name, **overrides):
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / name), workflow_type=None, logging_file=False, progress=False, **overrides
    )
    workflow.initialize()
    return workflow.run()


def _patches(folder, regions=3):
    """Two halves of a patch, each of its label's shades with noise; a table of labels and regions."""
    rng, rows = np.random.default_rng(0), ["image,group," + ",".join(CLASSES)]
    for number in range(18):
        label = LABELS[number % 6]
        image = np.repeat([[SHADES[label[0]]] * 16 + [SHADES[label[-1]]] * 16], 32, axis=0)[..., None]
        image = image + rng.integers(0, 40, (32, 32, 3))
        write_image(folder / f"p{number:02d}.png", image.astype(np.uint8))
        rows.append(f"p{number:02d}.png,r{number // 6 % regions}," + ",".join(str(int(c in label)) for c in CLASSES))
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def _places(folder):
    return {"dataset_dir": str(folder / "set"), "output_dir": str(folder / "run"), "model_dir": str(folder / "run/models")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels_alone")
    source = _patches(folder / "patches")
    layout = {"layout": "patches", "val_fraction": 0.3}
    _run("pipeline.yaml", **_places(folder), source=str(source), prepare=layout, overrides=TINY)
    return folder


@pytest.fixture(scope="module")
def report(run):
    return json.loads((run / "run/report/report.json").read_text())


@pytest.fixture(scope="module")
def page(run):
    return _Sections((run / "run/report/report.html").read_text())


def test_the_run_ends_with_the_report_and_not_with_an_evaluation(run):
    assert json.loads((run / "run/report/stage.json").read_text())["state"] == "finished"
    assert not (run / "run/evaluate").exists()


def test_curves_of_both_trainings_and_the_epoch_that_was_kept_and_why(run, page, report):
    section = page.sections["Training curves"]
    for network in ("classifier", "segmenter"):
        assert sum(name.startswith(f"{network}: ") for name in section["named"]) == 2
    epoch = report["trainings"]["train"]["epoch"]
    assert "classifier: epoch 2 of 2 is kept, the last one (keep: null)" in section["text"]
    assert f"segmenter: epoch {epoch} of 2 is kept, that of the highest agreement, by class (keep: miou)" in section["text"]
    history, weights = run / "run/train/history.json", run / "run/models/model.json"
    assert "miou" not in (history.read_text() + json.dumps(json.loads(weights.read_text())["scores"])).lower()
    assert {"val_agreement_by_class", "val_agreement_by_size"} <= set(json.loads(history.read_text())[0])


def test_the_classifier_on_held_out_patches(page, report):
    section = page.sections["Classifier on held-out patches"]
    assert section["named"] == ["Average precision per class", "Labels found by threshold"]
    assert "0.1 (gate)" in section["text"] and report["apart"] and not report["truth"]
    for own in report["classifier"]["classes"].values():
        assert [row["threshold"] for row in own["thresholds"]] == [0.1, 0.3, 0.5, 0.7]
        assert all(row["tp"] + row["fn"] == own["positives"] for row in own["thresholds"])
        assert all(row["tp"] + row["fp"] + row["fn"] + row["tn"] == 6 for row in own["thresholds"])


def test_labels_and_what_is_named_together(page, report):
    assert page.sections["Labels of the training patches"]["named"] == ["Labels", "Classes named together"]
    assert report["labels"]["patches"] == 12 and report["labels"]["groups"] == 2
    assert {n: c["patches"] for n, c in report["labels"]["classes"].items()} == {"gland": 8, "stroma": 8, "fat": 4}
    assert report["labels"]["together"] == [[8, 4, 2], [4, 8, 2], [2, 2, 4]]


def test_faults_of_the_dataset(page, run, report):
    assert report["dataset_check"] == json.loads((run / "run/dataset_check.json").read_text())
    assert "no entry under 'test'" in page.sections["Check of the dataset"]["text"]


def test_patches_with_their_pseudo_masks(page, report):
    section = page.sections["Pseudo masks, depth by depth"]
    assert all(name in section["text"] for name in ("image", "a", "b", "c", "refined", "consensus"))
    for name in CLASSES:
        for why in ("the depths are surest", "the depths are least sure", "the depths disagree on most pixels"):
            # fat is named with others in four patches, of which one may serve two classes
            assert f"{name}: {why}" in section["text"]
    assert section["images"] % 6 == 0 and section["images"] >= 18


def test_agreement_of_depths(page, report):
    assert page.sections["Agreement of depths"]["named"] == ["Agreement of depths per class"]
    assert list(report["depths"]["pairs"]) == ["a/b", "a/c", "b/c"] and report["depths"]["patches"] == 8
    for name in CLASSES:
        assert report["depths"]["classes"][name] <= min(pair[name] for pair in report["depths"]["pairs"].values())


def test_tissue_that_nobody_named(page, report, run):
    section = page.sections["Segmenter on held-out patches"]
    assert section["named"] == ["Tissue that is named, and that nobody named"]
    maps = sorted((run / "run/report/label_maps").iterdir())
    assert len(maps) == 6 and image_size(maps[0]) == (32, 32)
    doubtful = sum(c["unnamed_filled"] + c["named"] - c["named_filled"] for c in report["segmenter"]["classes"].values())
    assert (section["images"] > 0) == (doubtful > 0)


def test_a_verdict_in_words_and_the_next_command(page, report):
    assert page.verdicts == [verdict["text"] for verdict in report["verdicts"]]
    assert "fat rests on 4 patches; label more of it" in page.verdicts
    assert page.sections["Next"]["text"].split("copy")[0].strip() == report["command"]
    assert "inference.yaml" in report["command"]


def test_three_regions_are_segmented_and_have_their_page(run):
    """As the next command does it, on other images."""
    rng = np.random.default_rng(1)
    for k, shade in enumerate(SHADES.values()):
        region = np.full((48, 64, 3), shade) + rng.integers(0, 40, (48, 64, 3))
        write_image(run / f"regions/region{k}.png", region.astype(np.uint8), (0.5, 0.5))
    places = {"output_dir": str(run / "run"), "model_dir": str(run / "run/models")}
    _run("inference.yaml", **places, dataset_dir=str(run / "regions"), batch_size=4)
    page = _Sections((run / "run/inference/report.html").read_text())
    images = page.sections["All images"]["text"]
    assert all(f"region{k}" in images for k in range(3)) and "gland, mm²" in images and "certainty" in images
    assert page.sections["Least certain images"]["images"] >= 6  # three images, each with a layer at least
    assert (
        "20 µm" in page.sections["Least certain images"]["text"] or "10 µm" in page.sections["Least certain images"]["text"]
    )


def test_both_pages_show_all_their_parts_in_a_browser(run, tmp_path):
    find_browser()
    if not (run / "run/inference/report.html").is_file():
        pytest.skip("the regions were not segmented")
    seen = sections_seen(run / "run/report/report.html", tmp_path)
    assert list(seen) == [
        "Training curves", "Classifier on held-out patches", "Labels of the training patches", "Check of the dataset",
        "Pseudo masks, depth by depth", "Agreement of depths", "Segmenter on held-out patches", "Next", "How this was made",
    ]  # fmt: skip
    assert all(height > 40 and not broken for height, broken in seen.values()), seen
    seen = sections_seen(run / "run/inference/report.html", tmp_path)
    assert {"All images", "Least certain images"} <= set(seen)
    assert all(height > 40 and not broken for height, broken in seen.values()), seen


def test_nothing_is_called_a_score_of_truth(run):
    text = (run / "run/report/report.html").read_text()
    assert "mIoU" not in text and "IoU" not in text.replace("copied", "")


def test_a_finished_report_is_told_again_and_done_again_where_a_pseudo_mask_has_changed(run, capsys, report):
    page, (mask, *_) = run / "run/report/report.html", sorted((run / "run/pseudo_masks/b").glob("*.png"))
    stamp, content = page.stat().st_mtime_ns, mask.read_bytes()
    settings = {"stages": ["evaluate"], "overrides": {"report": {"gallery": 24}}}
    _run("pipeline.yaml", **_places(run), **settings)
    assert page.stat().st_mtime_ns == stamp and report["verdicts"][0]["text"] in capsys.readouterr().out
    write_mask(mask, np.full((32, 32), 2, np.uint8), DatasetFacts(classes=CLASSES))
    _run("pipeline.yaml", **_places(run), **settings)
    assert page.stat().st_mtime_ns != stamp
    mask.write_bytes(content)


def test_the_stage_runs_by_itself_and_tells(run, tmp_path, capsys, report):
    shutil.copytree(run / "run", tmp_path / "run", ignore=shutil.ignore_patterns("mlruns*", "report"))
    places = {**_places(tmp_path), "dataset_dir": str(run / "set")}
    _run("report.yaml", **places)
    again = json.loads((tmp_path / "run/report/report.json").read_text())
    same = ("labels", "classifier", "depths", "segmenter", "trainings", "verdicts")
    assert {k: again[k] for k in same} == {k: report[k] for k in same}
    *verdicts, path, says, command = capsys.readouterr().out.strip().splitlines()[-len(report["verdicts"]) - 3 :]
    assert [line[6:] for line in verdicts] == [v["text"] for v in report["verdicts"]]
    assert path == f"report        {tmp_path}/run/report/report.html" and says == "to segment images:"
    assert command.strip() == again["command"]


def test_without_pseudo_masks_and_histories_there_is_a_page_all_the_same(run, tmp_path):
    shutil.copytree(run / "run/models", tmp_path / "run/models")
    _run("report.yaml", **{**_places(tmp_path), "dataset_dir": str(run / "set")}, parent_run="pipeline", holdout=0.5)
    found = json.loads((tmp_path / "run/report/report.json").read_text())
    assert found["depths"] is None and found["dataset_check"] is None
    page = _Sections((tmp_path / "run/report/report.html").read_text())
    assert "Pseudo masks, depth by depth" not in page.sections and page.verdicts


def test_patches_of_one_region_hold_out_nothing_and_that_is_said_first(run, tmp_path):
    """The run's networks serve: what they have trained on is of no account here."""
    source = _patches(tmp_path / "patches", regions=1)
    prepare(source, tmp_path / "set", layout="patches", progress=False)
    _run("report.yaml", **{**_places(tmp_path), "model_dir": str(run / "run/models")}, parent_run="pipeline")
    found = json.loads((tmp_path / "run/report/report.json").read_text())
    assert not found["apart"] and found["verdicts"][0]["text"].startswith("nothing is held out: ")
    assert "held-out" not in " ".join(v["text"] for v in found["verdicts"])


def test_layers_are_those_of_the_summary(tmp_path):
    for text in ("[", "[]", "{}", '{"pixels": 3}'):
        (tmp_path / "summary.json").write_text(text)
        assert mask_layers(tmp_path) == ([], [])
    (tmp_path / "summary.json").write_text(json.dumps({"pixels": {"a": {}, "refined": {}, "b": {}, "consensus": {}}}))
    assert mask_layers(tmp_path) == (["a", "b"], ["a", "refined", "b", "consensus"])
