"""What makes a stage run anew, and what does not: on a real run of the whole flow, on networks that are tiny."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from shutil import copytree, ignore_patterns

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.recipes import config_files
from scripts.data.datalist import write_datalist
from scripts.run import record as record_module
from scripts.run.pipeline import STAGES, run_pipeline
from scripts.weights.files import save_weights
from scripts.weights.untrained import network_of

CLASSIFIER, MASKS, TRAIN, EVALUATE = STAGES
FACTS = DatasetFacts(classes=("a", "b", "c"))
TINY = {
    CLASSIFIER: {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#layers": ["a", "b", "c"],
        "max_epochs": 2, "batch_size": 2,
    },
    MASKS: {"layers": ["a", "b"], "consensus": None, "masker#refinement": None},
    TRAIN: {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#high_layer": "c", "network_def#low_layer": "b",
        "network_def#channels": 8, "layers": ["a", "b"], "layer_weights": [0.5, 0.5], "max_epochs": 2, "batch_size": 2,
    },
    EVALUATE: {"flips": False},
}  # fmt: skip


def _image(rng):
    return rng.integers(0, 200, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its own dataset beside it, with absolute paths nowhere."""
    folder, rng = tmp_path_factory.mktemp("record"), np.random.default_rng(0)
    sections = {"training": [], "validation": [], "test": []}
    for section, count in (("training", 6), ("validation", 1), ("test", 2)):
        for i in range(count):
            name = f"{section}{i}"
            write_image(folder / f"data/{name}.png", _image(rng))
            entry = {"image": f"{name}.png", "label": [1, i % 2, int(i == 5)], "group": f"g{i // 2}"}
            if section != "training":
                write_mask(folder / f"data/{name}_mask.png", rng.integers(0, 3, (32, 32)), FACTS)
                entry = {"image": f"{name}.png", "mask": f"{name}_mask.png"}
            sections[section].append(entry)
    write_datalist(folder / "data/datalist.json", FACTS, sections)
    _run(folder)
    return folder


def _places(folder):
    return {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}


def _run(folder, overrides=TINY):
    return run_pipeline(**_places(folder), overrides=overrides, progress=False)


@pytest.fixture
def copied(run, tmp_path):
    """The whole run at another place, with new times."""
    copytree(run, tmp_path / "run", ignore=ignore_patterns("mlruns*", ".file_states.json"), copy_function=_copy)
    return tmp_path / "run"


def _copy(source, target):
    Path(target).write_bytes(Path(source).read_bytes())


def _anew(folder, **changes):
    """Stages that would not be skipped now; ``changes`` override settings of some of them."""
    found = set()
    for name in STAGES:
        settings = {**TINY[name], **changes.get(name, {}), **changes.get("all", {})}
        workflow = ConfigWorkflow(
            config_file=config_files(name), workflow_type=None, logging_file=False,
            **{"progress": False, **_places(folder), **settings},
        )  # fmt: skip
        workflow.initialize()
        try:
            finished = workflow.parser.get_parsed_content("stage").finished()
        except Exception:  # what it needs is not there any more
            finished = False
        if not finished:
            found.add(name)
    return found


def _edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _repaint(path):
    """Other pixels in a file of the same size, as uncompressed formats have it, at the very time of the old one."""
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def _other_classifier(folder):
    path = folder / "models/classifier.pt"
    description = json.loads(path.with_suffix(".json").read_text())
    save_weights(path, network_of(path, "classifier"), {**description, "fingerprint": "of another run"})


ALL = set(STAGES)
CHANGES = {
    "label": (lambda f: _edit(f / "data/datalist.json", lambda d: d["training"][0].update(label=[0, 1, 0])), ALL),
    "group": (lambda f: _edit(f / "data/datalist.json", lambda d: d["training"][0].update(group="g9")), {MASKS, EVALUATE}),
    "class name": (lambda f: _edit(f / "data/datalist.json", lambda d: d.update(descriptions=["x", "y", "z"])), ALL),
    "training image": (lambda f: _repaint(f / "data/training3.png"), ALL - {EVALUATE}),
    "validation mask": (lambda f: _repaint(f / "data/validation0_mask.png"), {CLASSIFIER, TRAIN}),
    "test image": (lambda f: _repaint(f / "data/test0.png"), {EVALUATE}),
    "test mask": (lambda f: _repaint(f / "data/test1_mask.png"), {EVALUATE}),
    "a test image less": (lambda f: _edit(f / "data/datalist.json", lambda d: d["test"].pop()), {EVALUATE}),
    "pseudo mask changed": (lambda f: _repaint(f / "out/pseudo_masks/b/training1.png"), {TRAIN}),
    "pseudo mask removed": (lambda f: (f / "out/pseudo_masks/b/training1.png").unlink(), {MASKS, TRAIN}),
    "pseudo masks of another run": (lambda f: (f / "out/pseudo_masks/fingerprint.txt").write_text("x"), {MASKS}),
    "classifier of another run": (_other_classifier, {CLASSIFIER, MASKS, EVALUATE}),
    "damaged segmenter": (lambda f: _repaint(f / "models/model.pt"), {TRAIN, EVALUATE}),
    "segmenter removed": (lambda f: (f / "models/model.pt").unlink(), {TRAIN, EVALUATE}),
    "pseudo masks scored otherwise": (
        lambda f: _edit(f / "out/pseudo_masks/summary.json", lambda d: d.update(scores={})), {EVALUATE},
    ),
    "pseudo masks' mark no text": (lambda f: (f / "out/pseudo_masks/fingerprint.txt").write_bytes(b"\xff/../x"), {MASKS}),
    "report removed": (lambda f: (f / "out/evaluate/report.html").unlink(), {EVALUATE}),
    "record damaged": (lambda f: (f / "out/train/stage.json").write_text("{"), {TRAIN}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_stage_runs_anew_after_every_change_of_what_it_depends_on_and_no_other_stage(copied, change):
    assert _anew(copied) == set()
    act, expected = CHANGES[change]
    act(copied)
    assert _anew(copied) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({CLASSIFIER: {"weight_decay": 0.1}}, {CLASSIFIER}),
        ({MASKS: {"masker#share_prior": 0.4}}, {MASKS}),
        ({TRAIN: {"self_training#weight": 0.5}}, {TRAIN}),
        ({TRAIN: {"max_epochs": 3}, CLASSIFIER: {"max_epochs": 1}}, {TRAIN, CLASSIFIER}),
        ({EVALUATE: {"gate_threshold": 0.2}}, {EVALUATE}),
        ({"all": {"seed": 1}}, ALL),
    ],
)
def test_and_after_every_change_of_a_setting_that_computes(run, changes, expected):
    assert _anew(run, **changes) == expected


def test_and_under_another_version_of_the_bundle(run, monkeypatch):
    monkeypatch.setattr(record_module, "bundle_version", lambda: "99.0")
    assert _anew(run) == ALL


@pytest.mark.parametrize(
    "changes",
    [
        {"all": {"device": "$torch.device('cpu')"}},
        {"all": {"threads": 1, "experiment": "x", "progress": True}},
        {CLASSIFIER: {"num_workers": 1, "cache_num": 0, "compile": True}, MASKS: {"num_workers": 1}},
        {TRAIN: {"train#dataloader#num_workers": 1, "train#dataset#cache_num": 3}},
        {CLASSIFIER: {"recipe": "x"}},
    ],
)
def test_but_not_after_a_change_of_where_on_what_and_how_fast_it_runs(run, changes):
    assert _anew(run, **changes) == set()


def test_nor_at_another_place_with_other_times(copied):
    """Nor when the datalist is written another way, nor without the states of files, or damaged ones."""
    _edit(copied / "data/datalist.json", lambda d: d.update(experiment_notes="x"))
    assert _anew(copied) == set()
    for path in copied.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    (copied / "out/.file_states.json").write_text('{"x": [1')
    assert _anew(copied) == set()


def test_what_is_printed_is_true_and_stages_after_a_changed_one_run_too(copied, caplog):
    caplog.set_level(logging.INFO)
    _run(copied)
    assert [t for t in caplog.messages if "finished before, skipped" in t] == [
        f"stage {n}/4 {name}: finished before, skipped" for n, name in enumerate(STAGES, 1)
    ]
    caplog.clear()
    CHANGES["label"][0](copied)
    before = {p: p.stat().st_mtime_ns for p in (copied / "models").glob("*.pt")}
    _run(copied)
    assert not [t for t in caplog.messages if "skipped" in t]
    assert all(p.stat().st_mtime_ns > stamp for p, stamp in before.items())
    assert f"{CLASSIFIER} starts anew: images, masks or labels have changed" in caplog.messages
    assert f"{MASKS} starts anew: images, masks or labels have changed" in caplog.messages


def test_nothing_of_another_configuration_is_lost(copied):
    """Weights with their descriptions, states of trainings, and pseudo masks are kept beside the new ones."""
    kept = ["models/classifier.pt", "models/classifier.json", "models/model.pt", "models/model.json",
            "out/train_classifier/last.pt", "out/train/last.pt", "out/pseudo_masks/a/training0.png"]  # fmt: skip
    content = {(copied / name).read_bytes() for name in kept}
    _run(copied, {**TINY, CLASSIFIER: {**TINY[CLASSIFIER], "weight_decay": 0.1}})
    assert content <= {p.read_bytes() for p in copied.rglob("*") if p.is_file()}
    assert len(list((copied / "models").glob("classifier.????????.pt"))) == 1
    assert len(list((copied / "models").glob("classifier.????????.json"))) == 1
    assert len(list((copied / "out/train_classifier").glob("last.????????.pt"))) == 1
    assert len(list((copied / "out").glob("pseudo_masks.????????/fingerprint.txt"))) == 1
    assert _anew(copied, **{CLASSIFIER: {"weight_decay": 0.1}}) == set()


def test_weights_of_another_run_in_the_same_folder_are_kept_too(copied):
    """And those of before are trained again, to the very same numbers."""
    trained = torch.load(copied / "models/classifier.pt", weights_only=True)
    _other_classifier(copied)
    other = (copied / "models/classifier.pt").read_bytes()
    _run(copied)
    (path,) = (copied / "models").glob("classifier.????????.pt")
    assert path.read_bytes() == other
    again = torch.load(copied / "models/classifier.pt", weights_only=True)
    assert all(torch.equal(trained[k], again[k]) for k in trained)


def test_more_epochs_go_on_and_fewer_start_anew(copied):
    (state,) = (copied / "out/train").glob("last*.pt")
    before = torch.load(state, weights_only=True)
    assert _anew(copied, **{TRAIN: {"max_epochs": 3}}) == {TRAIN}
    _run(copied, {**TINY, TRAIN: {**TINY[TRAIN], "max_epochs": 1}})
    (kept,) = (copied / "out/train").glob("last.????????.pt")
    assert torch.load(kept, weights_only=True)["epoch"] == before["epoch"] == 2
    assert torch.load(copied / "out/train/last.pt", weights_only=True)["epoch"] == 1


def test_pixels_beside_a_header_count_as_its_own(tmp_path):
    header = "NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = x.pixels\n"
    (tmp_path / "x.mhd").write_text(header)
    found = set()
    for value in range(3):
        (tmp_path / "x.pixels").write_bytes(bytes([value] * 4))
        found.add(record_module.parts({}, [], [{"mask": str(tmp_path / "x.mhd")}])["data"])
    assert len(found) == 3
