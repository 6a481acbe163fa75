"""The whole method on small data, through the configs, as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import nibabel
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.errors import root_cause
from scripts.core.image_writers import write_image
from scripts.core.images import read_image, read_mask
from scripts.data import prepare, read_datalist
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset
from scripts.run.pipeline import merge_overrides, run_pipeline
from scripts.run.tracking import tracking_uri

CONFIGS = Path(BUNDLE_ROOT) / "configs"
SHORT = {
    "train_classifier": {"max_epochs": 2, "batch_size": 8},
    "train": {"max_epochs": 2, "batch_size": 8, "ema_epochs": 1.0, "cutmix": 0.5},
}
STAGES = ("train_classifier", "generate_pseudo_masks", "train", "evaluate")


def _run(name, **overrides):
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / name), workflow_type=None, logging_file=False, progress=False, **overrides
    )
    workflow.initialize()
    return workflow.run()


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    return write_demo_dataset(
        tmp_path_factory.mktemp("tissue") / "raw", num_train=32, num_val=2, num_test=4, patch_size=64, progress=False
    )


def _places(folder):
    return {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}


def _settings(folder, tissue):
    return {
        **_places(folder), "source": str(tissue), "dataset": DEMO_FACTS.to_dict(), "prepare": {"layout": "luad"},
        "overrides": SHORT,
    }  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, tissue):
    folder = tmp_path_factory.mktemp("unbroken")
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    _run("pipeline.yaml", **_settings(folder, tissue))
    return folder


def _results(folder):
    """Everything that must not depend on interruptions."""
    masks = {str(p.relative_to(folder)): p.read_bytes() for p in sorted((folder / "out/pseudo_masks").rglob("*.png"))}
    weights = [torch.load(folder / "models" / n, weights_only=True) for n in ("classifier.pt", "model.pt")]
    texts = [json.loads((folder / "out" / p).read_text()) for p in
             ("train_classifier/history.json", "train/history.json", "pseudo_masks/summary.json", "evaluate/metrics.json")]  # fmt: skip
    return masks, weights, texts


def _same(a, b):
    assert a[0] == b[0] and len(a[0]) == 5 * 32  # three layers, the refined one and the consensus
    for one, other in zip(a[1], b[1], strict=True):
        assert all(torch.equal(one[k], other[k]) for k in one)
    assert a[2] == b[2]


def test_everything_is_there(unbroken, tissue):
    out = unbroken / "out"
    scores = json.loads((out / "evaluate/metrics.json").read_text())["scores"]
    assert [m.split(" (")[0] for m in scores] == [
        "majority class", "CAM stage4", "CAM stage5", "CAM stage6", "CAM fused", "segmenter", "segmenter + gate",
    ]  # fmt: skip
    pixels = sum(int((read_mask(p) < 4).sum()) for p in sorted((tissue / "test/mask").iterdir()))
    assert all(np.sum(s["confusion"]) == pixels for s in scores.values())
    assert len(list(csv.DictReader((out / "evaluate/metrics.csv").open()))) == 7
    assert (out / "evaluate/report.html").stat().st_size > 20_000
    assert read_image(out / "evaluate/gallery.png").shape[2] == 3
    for stage in STAGES:
        assert json.loads((out / stage / "stage.json").read_text())["state"] == "finished"
    assert len(json.loads((out / "train/history.json").read_text())) == 2


def test_tracking_has_a_parent_and_a_child_per_stage(unbroken):
    client = mlflow.MlflowClient(tracking_uri(unbroken / "out"))
    found = client.search_runs([client.get_experiment_by_name("tissue-segmentation").experiment_id])
    runs = {r.data.tags["stage"]: r for r in found}
    assert set(runs) == {"pipeline", *STAGES} and all(r.info.status == "FINISHED" for r in found)
    assert runs["pipeline"].info.run_name == "demo tissue, default, seed 0"
    for stage in STAGES:
        assert runs[stage].info.run_name == f"demo tissue, default, seed 0: {stage}"
        tags = runs[stage].data.tags
        assert (tags["dataset"], tags["recipe"], tags["seed"]) == ("demo tissue", "default", "0")
        assert "of demo tissue, recipe default, seed 0" in tags["mlflow.note.content"]
    parent = runs["pipeline"].info.run_id
    assert all(runs[s].data.tags["mlflow.parentRunId"] == parent for s in STAGES)
    history = client.get_metric_history(runs["train"].info.run_id, "val_miou")
    assert [m.step for m in history] == [1, 2]
    artifacts = {a.path for a in client.list_artifacts(runs["evaluate"].info.run_id)}
    assert {"config.yaml", "environment.json", "report.html", "gallery.png", "metrics.json"} <= artifacts
    assert {"report.html", "gallery.png"} <= {a.path for a in client.list_artifacts(parent)}
    scores = json.loads((unbroken / "out/evaluate/metrics.json").read_text())["scores"]
    for run in (runs["evaluate"], runs["pipeline"]):
        figures = run.data.metrics
        assert figures["miou"] == scores["segmenter + gate"]["miou"] and "iou.TE" in figures
        assert figures["segmenter.miou"] == scores["segmenter"]["miou"] and "CAM_fused.fwiou" in figures
        assert not [name for name in figures if "gate" in name or "__" in name or "confusion" in name]


def test_running_again_does_nothing(unbroken, tissue):
    before = {p: p.stat().st_mtime_ns for p in (unbroken / "models").iterdir()}
    _run("pipeline.yaml", **_settings(unbroken, tissue))
    assert before == {p: p.stat().st_mtime_ns for p in (unbroken / "models").iterdir()}


def test_settings_of_a_dataset_reach_the_stages_and_overrides_win(unbroken, tissue):
    """Put another way, the configuration is the same: nothing is done again."""
    before = {p: p.stat().st_mtime_ns for p in (unbroken / "models").iterdir()}
    settings = {**SHORT, "train": {**SHORT["train"], "cutmix": 0.1}}
    overrides = {"train": {"cutmix": SHORT["train"]["cutmix"]}}
    _run("pipeline.yaml", **{**_settings(unbroken, tissue), "settings": settings, "overrides": overrides})
    assert before == {p: p.stat().st_mtime_ns for p in (unbroken / "models").iterdir()}
    assert merge_overrides(settings, overrides) == SHORT
    with pytest.raises(ValueError, match=r"settings or overrides: found .'training'"):
        run_pipeline(**_places(unbroken), settings={"training": {"cutmix": 0.0}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"overrides": {"train": {"max_epoch": 3}}}, "train: max_epoch: train.yaml has no setting 'max_epoch'; did you mean 'max_epochs'?"),
        ({"settings": {"evaluate": {"flps": True}}}, "evaluate: flps: evaluate.yaml has no setting 'flps'; did you mean 'flips'?"),
        ({"overrides": {"generate_pseudo_masks": {"maskr#context": 0.1}}}, "generate_pseudo_masks: maskr#context: generate_pseudo_masks.yaml has no setting 'maskr'; did you mean 'masker'?"),
        ({"overrides": {"train": {"compile": "maybe"}}, "stages": ["evaluate"]}, "train: compile: found 'maybe', expected True or False"),
        ({"overrides": {"trian": {}}}, f"stages, settings or overrides: found ['trian'], expected {[*STAGES, 'report']}; did you mean 'train'?"),
        ({"overrides": {"train": 3}}, "settings or overrides: found {'train': 3}, expected {stage: {id: value}}"),
        ({"overrides": {"train": {"max_epochs": 0}}}, "train: max_epochs: found 0, expected a whole number, 1 or more"),
        ({"overrides": {"evaluate": {"section": "val"}}}, "evaluate: section: found 'val', expected one of training, validation, test"),
        ({"prepare": {"layout": "luad", "patch_size": "x"}}, "prepare#patch_size: found 'x', expected a whole number from 8 to 4096 px, or a list of 2, each a whole number from 8 to 4096 px"),
        ({"stages": ["segment"]}, f"stages, settings or overrides: found ['segment'], expected {[*STAGES, 'report']}"),
        ({"prepare": {"layout": "luad", "strid": 8}}, "prepare has no setting 'strid'; did you mean 'stride'?"),
        ({"dataset": {**DEMO_FACTS.to_dict(), "white_backgroud": True}}, "dataset has no setting 'white_backgroud'; did you mean 'white_background'?"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_found_before_anything_is_done(tmp_path, tissue, settings, message):
    with pytest.raises(ValueError) as error:
        run_pipeline(**{**_settings(tmp_path, tissue), **settings}, progress=False)
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_is_not_sound_trains_nothing(tmp_path, tissue):
    own = shutil.copytree(tissue, tmp_path / "raw")  # a dataset of patches names them where they lie
    prepare(own, tmp_path / "data", dataset=DEMO_FACTS.to_dict(), layout="luad", progress=False)
    Path(read_datalist(tmp_path / "data", "training")[0]["image"]).write_bytes(b"no longer an image")
    with pytest.raises(SystemExit, match="unreadable image"):
        run_pipeline(**_places(tmp_path), overrides=SHORT, progress=False)
    assert not list(tmp_path.rglob("*.pt")) and not (tmp_path / "out/train_classifier").exists()


def test_a_recipe_anywhere_may_bring_settings_of_its_own_and_switches_are_put_right(tmp_path, tissue):
    """Settings that a macro reads, of which nothing is left when the stage checks itself; the stage does nothing else."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    run = "run: [$check_settings('train_classifier'), $@stage.start(), $@stage.finish()]\nstage#weights: []\n"
    (recipe / "train_classifier.yaml").write_text("mine: {share: 0.2}\nholdout: '%mine#share'\n" + run)
    places, overrides = _places(tmp_path), {"train_classifier": {"compile": "off"}}
    prepared = {"source": str(tissue), "dataset": DEMO_FACTS.to_dict(), "prepare": {"layout": "luad"}}
    stages = {"stages": ["train_classifier"], "recipe": str(recipe)}
    run_pipeline(**places, **prepared, **stages, overrides=overrides, progress=False)
    recorded = yaml.safe_load((tmp_path / "out/train_classifier/config.yaml").read_text())
    assert recorded["holdout"] == 0.2 and recorded["compile"] is False
    stamp = (tmp_path / "out/train_classifier/config.yaml").stat().st_mtime_ns
    run_pipeline(**places, **stages, overrides={"train_classifier": {"compile": False}}, progress=False)
    assert (tmp_path / "out/train_classifier/config.yaml").stat().st_mtime_ns == stamp
    (recipe / "train_classifier.yaml").write_text("mine: {share: 0.2}\nholdot: '%mine#share'\n" + run)
    with pytest.raises(ValueError, match=r"train_classifier: holdot: .*did you mean 'holdout'"):
        run_pipeline(**places, **stages, progress=False)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_moments_ends_the_same(tmp_path, tissue, unbroken, seed):
    """The command is killed three times, each time at another moment, and then run to its end."""
    settings = json.dumps(_settings(tmp_path, tissue))
    code = (
        "import sys, json, torch; torch.set_num_threads(int(sys.argv[3]));"
        "from monai.bundle import ConfigWorkflow;"
        "ConfigWorkflow(config_file=sys.argv[1], workflow_type=None, logging_file=False, progress=False, **json.loads(sys.argv[2])).run()"
    )
    command = [sys.executable, "-c", code, str(CONFIGS / "pipeline.yaml"), settings, str(torch.get_num_threads())]
    rng = np.random.default_rng(seed)
    marks = ["out/train_classifier/last.pt", "out/pseudo_masks/fused", "out/train/last.pt"]
    for mark in marks:
        process = subprocess.Popen(command, cwd=BUNDLE_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (tmp_path / mark).exists():
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, cwd=BUNDLE_ROOT, check=True, capture_output=True)
    _same(_results(unbroken), _results(tmp_path))


def test_inference_on_any_size_skips_what_is_broken(unbroken, tmp_path, tissue):
    images = tmp_path / "images"
    rng = np.random.default_rng(0)
    (patch, *_) = sorted((tissue / "test/img").iterdir())
    write_image(images / "patch.png", read_image(patch))
    write_image(images / "small.png", rng.integers(0, 255, (20, 33, 3), dtype=np.uint8))
    write_image(images / "roi.jpg", rng.integers(0, 255, (100, 170, 3), dtype=np.uint8))
    (images / "broken.png").write_bytes((images / "roi.jpg").read_bytes()[:500])
    places = {"dataset_dir": str(images), "output_dir": str(tmp_path / "out"), "model_dir": str(unbroken / "models")}
    with pytest.raises(SystemExit, match=r"1 images were skipped(.|\n)*broken\.png"):
        _run("inference.yaml", **places, output_format="nii.gz")
    out = tmp_path / "out/inference"
    for name, size in (("patch", (128, 128)), ("small", (20, 33)), ("roi", (100, 170))):
        mask = read_mask(out / f"{name}_mask.nii.gz", 4)
        assert mask.shape == size and read_image(out / f"{name}_overlay.png").shape == (*size, 3)
        areas = json.loads((out / f"{name}_areas.json").read_text())["areas"]
        assert sum(a["pixels"] for a in areas.values()) == (mask < 4).sum()
    assert nibabel.load(out / "roi_mask.nii.gz").shape == (170, 100)
    assert len(list(csv.reader((out / "areas.csv").open(encoding="utf-8")))) == 5
    stamp = (out / "roi_mask.nii.gz").stat().st_mtime_ns
    (images / "broken.png").unlink()
    _run("inference.yaml", **places, output_format="nii.gz")
    assert (out / "roi_mask.nii.gz").stat().st_mtime_ns == stamp
    # an image that is no longer the one that was segmented
    write_image(images / "small.png", rng.integers(0, 255, (31, 18, 3), dtype=np.uint8))
    _run("inference.yaml", **places, output_format="nii.gz")
    assert read_mask(out / "small_mask.nii.gz", 4).shape == (31, 18)
    assert (out / "roi_mask.nii.gz").stat().st_mtime_ns == stamp


def test_inference_counts_no_results_of_other_settings(unbroken, tmp_path):
    """A second run with other settings that is interrupted after one image, and continued; without the classifier."""
    images, models = tmp_path / "images", tmp_path / "models"
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(images / f"{name}.png", rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
    models.mkdir()
    for name in ("model.pt", "model.json"):
        (models / name).write_bytes((unbroken / "models" / name).read_bytes())
    places = {"dataset_dir": str(images), "output_dir": str(tmp_path / "out"), "model_dir": str(models)}
    _run("inference.yaml", **places, gated=False, flips=True)
    out = tmp_path / "out/inference"
    stamps = {name: (out / f"{name}_mask.png").stat().st_mtime_ns for name in "abc"}
    whole = (images / "b.png").read_bytes()
    (images / "b.png").write_bytes(whole[:200])
    with pytest.raises(SystemExit, match="1 images were skipped"):
        _run("inference.yaml", **places, gated=False, flips=False)
    named = [row[0] for row in csv.reader((out / "areas.csv").open(encoding="utf-8"))]
    assert named == ["image", str(images / "a.png"), str(images / "c.png"), "all images"]
    (images / "b.png").write_bytes(whole)
    _run("inference.yaml", **places, gated=False, flips=False)
    assert all((out / f"{name}_mask.png").stat().st_mtime_ns != stamp for name, stamp in stamps.items())
    assert len(list(csv.reader((out / "areas.csv").open(encoding="utf-8")))) == 5
    # another number of pictures on the page is no other result
    stamps = {name: (out / f"{name}_mask.png").stat().st_mtime_ns for name in "abc"}
    _run("inference.yaml", **places, gated=False, flips=False, gallery=1)
    assert all((out / f"{name}_mask.png").stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert (out / "report.html").read_text(encoding="utf-8").count('class="stack"') == 1


def _ending(capsys):
    """What is printed after the last stage."""
    lines = capsys.readouterr().out.strip().splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("not scored")) :]


def test_a_folder_of_twelve_patches_and_a_table_of_six_classes(tmp_path, capsys):
    """A user's own data: no facts file, no masks, no code. It ends with what was made, where, and what comes next."""
    classes, raw = ["fat", "gland", "muscle", "nerve", "vessel", "debris"], tmp_path / "raw"
    rng = np.random.default_rng(0)
    rows = ["image," + ",".join(classes)]
    for i in range(12):
        write_image(raw / f"p{i:02d}.png", rng.integers(20 * (i % 6), 120 + 20 * (i % 6), (48, 48, 3), dtype=np.uint8))
        rows.append(f"p{i:02d}.png," + ",".join(str(int(k in (i % 6, (i + 2) % 6))) for k in range(6)))
    (raw / "labels.csv").write_text("\n".join(rows))
    overrides = {"train_classifier": {"max_epochs": 1, "batch_size": 4}, "train": {"max_epochs": 1, "batch_size": 4}}
    places = _places(tmp_path)
    _run("pipeline.yaml", **places, source=str(raw), prepare={"layout": "patches"}, overrides=overrides)
    unscored, *verdicts, made, where, page, says, command = _ending(capsys)
    assert [made, where] == [f"segmenter     {tmp_path}/models/model.pt", f"training      {tmp_path}/out/train/history.json"]
    assert unscored == f"not scored, as no test image of {tmp_path}/data has a true mask" and says == "to segment images:"
    assert page == f"report        {tmp_path}/out/report/report.html" and not (tmp_path / "out/evaluate").exists()
    said = json.loads((tmp_path / "out/report/report.json").read_text())
    assert [line[6:] for line in verdicts[: len(said["verdicts"])]] == [v["text"] for v in said["verdicts"]]
    assert command.strip() == said["command"]
    _, module, run, *options = shlex.split(command)[1:]
    assert (module, run) == ("monai.bundle", "run")
    settings = {k.removeprefix("--"): v for k, v in zip(options[::2], options[1::2], strict=True)}
    assert settings.pop("config_file") == str(CONFIGS / "inference.yaml") and settings.pop("dataset_dir")
    _run("inference.yaml", dataset_dir=str(raw), **settings)
    areas = json.loads((tmp_path / "out/inference/p00_areas.json").read_text())["areas"]
    assert list(areas) == classes and sum(a["pixels"] for a in areas.values()) == 48 * 48


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("train", "pseudo masks"),
        ("generate_pseudo_masks", "classifier.pt"),
        ("evaluate", "classifier.pt"),
        ("report", "classifier.pt"),
    ],
)
def test_stages_out_of_order_say_what_is_missing(tmp_path, unbroken, config, says):
    places = {"dataset_dir": str(unbroken / "data"), "output_dir": str(tmp_path / "out"), "model_dir": str(tmp_path / "m")}
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(CONFIGS / f"{config}.yaml")]
    command += [part for key, value in places.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1 and says.replace(" ", "_") in done.stderr.replace(" ", "_")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"train": {"max_epoch": 1}}, "train: max_epoch: train.yaml has no setting 'max_epoch'; did you mean 'max_epochs'?"),
        ({"trian": {}}, "did you mean 'train'?"),
        ({"train": 3}, "overrides#train: found 3, expected settings of the stage by their ids"),
        ({"train": {"batch_size": 0}}, "train: batch_size: found 0, expected a whole number, 1 or more"),
    ],
)
def test_demo_finds_what_is_wrong_before_it_draws(tmp_path, overrides, says):
    with pytest.raises(RuntimeError) as error:
        _run("demo.yaml", output_dir=str(tmp_path / "demo"), num_train=16, patch_size=64, overrides=overrides)
    assert says in str(root_cause(error.value))
    assert not (tmp_path / "demo").exists()


def test_demo_draws_trains_and_says_where_everything_is(tmp_path, capsys):
    epochs = {"train_classifier": {"max_epochs": 1}, "train": {"max_epochs": 1}}
    small = {"num_train": 16, "num_val": 2, "num_test": 2, "patch_size": 64, "overrides": epochs}
    _run("demo.yaml", output_dir=str(tmp_path / "demo"), **small)
    printed = capsys.readouterr().out
    for text in (
        "segmenter + gate",
        "majority class",
        "CAM stage6",
        str(tmp_path / "demo/evaluate/report.html"),
        "gallery.png",
    ):
        assert text in printed
    assert "IoU TE" in (tmp_path / "demo/evaluate/report.html").read_text()
