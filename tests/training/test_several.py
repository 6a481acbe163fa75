"""Two processes train as one: torchrun starts them, Gloo joins them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchrun
from monai.bundle import ConfigWorkflow
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.datalist import write_datalist
from scripts.training import draw

FACTS = DatasetFacts(classes=("a", "b"), white_background=False)
SIZE, PATCHES = 32, 10
TINY = {
    "train_classifier": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#layers": ["a", "b", "c"], "batch_size": 2,
    },
    "train": {
        "extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#high_layer": "c", "network_def#low_layer": "b",
        "network_def#channels": 8, "batch_size": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Patches of two halves, three images to validate on (an odd number), pseudo masks that are right."""
    folder, rng = tmp_path_factory.mktemp("several"), np.random.default_rng(0)
    sections = {"training": [], "validation": []}
    for section, count in (("training", PATCHES), ("validation", 3)):
        for number in range(count):
            mask = np.zeros((SIZE, SIZE), np.uint8)
            mask[:, (0, SIZE // 2, SIZE)[number % 3] :] = 1
            image = (70 + 90 * mask)[..., None] + rng.integers(0, 40, (SIZE, SIZE, 3))
            name = f"{section}{number}"
            write_image(folder / f"data/{name}.png", image.astype(np.uint8))
            write_mask(folder / f"data/{name}_mask.png", mask, FACTS)
            if section == "training":
                write_mask(folder / f"pseudo_masks/consensus/{name}.png", mask, FACTS)
            label = [int((mask == k).any()) for k in (0, 1)]
            sections[section].append({"image": f"{name}.png", "mask": f"{name}_mask.png", "label": label})
    write_datalist(folder / "data/datalist.json", FACTS, sections)
    return folder


def _settings(stage, data, out, **settings):
    places = {
        "dataset_dir": str(data / "data"), "output_dir": str(out), "model_dir": str(out / "models"),
        "pseudo_mask_dir": str(data / "pseudo_masks"),
    }  # fmt: skip
    if stage == "train_classifier":
        del places["pseudo_mask_dir"]
    return {**places, **TINY[stage], "max_epochs": 2, "amp": False, "progress": False, **settings}


def _assert_scored_as_by_one_process(stage, weights, data, out):
    """The scores of the last epoch are those that one process gives the weights that are kept."""
    workflow = ConfigWorkflow(
        config_file=str(torchrun.CONFIGS / f"{stage}.yaml"), workflow_type=None, logging_file=False,
        **_settings(stage, data, out / "alone"), device="$torch.device('cpu')",
    )  # fmt: skip
    workflow.initialize()
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    evaluator.network.load_state_dict(torch.load(out / f"models/{weights}.pt", weights_only=True))
    evaluator.run()
    last = json.loads((out / stage / "history.json").read_text())[-1]
    found = {key.removeprefix("val_"): value for key, value in last.items() if key.startswith("val_")}
    assert len(found) > 3 and {k: evaluator.state.metrics[k] for k in found} == pytest.approx(found, abs=1e-5)


def test_two_processes_train_as_one(data, tmp_path):
    said = torchrun.run("train_classifier", _settings("train_classifier", data, tmp_path))
    assert said.count("epoch 2/2") == 1  # one of them tells
    assert json.loads((tmp_path / "train_classifier/stage.json").read_text())["state"] == "finished"
    state = torch.load(tmp_path / "train_classifier/last.pt", weights_only=True)
    # five steps of ten patches in batches of two would be ten in one process
    assert state["lr_scheduler"]["last_epoch"] == 2 * (PATCHES // 2 // 2) and state["processes"] == 2
    _assert_scored_as_by_one_process("train_classifier", "classifier", data, tmp_path)


def test_a_killed_process_ends_all_and_the_training_goes_on(data, tmp_path):
    settings = _settings("train", data, tmp_path, max_epochs=40)
    process, state = torchrun.start("train", settings), tmp_path / "train/last.pt"
    deadline = time.monotonic() + 120
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [p for p in Path("/proc").glob("[0-9]*") if _worker_of(p, process.pid)]
    assert len(workers) == 2
    os.kill(int(workers[-1].name), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode not in (0, None), said[-4000:]
    assert not [p for p in workers if p.exists() and _worker_of(p, process.pid)]
    done = torch.load(state, weights_only=True)["epoch"]
    said = torchrun.run("train", settings)
    assert f"continuing after epoch {done} of 40" in said and done < 40
    assert [row["epoch"] for row in json.loads((tmp_path / "train/history.json").read_text())] == list(range(1, 41))
    _assert_scored_as_by_one_process("train", "model", data, tmp_path)


def _worker_of(folder, parent):
    try:
        return f"PPid:\t{parent}\n" in (folder / "status").read_text() and "State:\tZ" not in (folder / "status").read_text()
    except OSError:
        return False


def test_other_stages_are_for_one_process(data, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        from scripts.run import Stage

        with pytest.raises(ValueError, match="stage 'evaluate': found 2 processes, expected one"):
            Stage("evaluate", str(tmp_path), config={}).start()


def test_processes_share_an_order_out_and_draw_another_by_another_seed(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        sampler = draw(range(11), 10)
        sampler.set_seed(5)
        parts.append(list(sampler))
        sampler.set_seed(6)
        assert list(sampler) != parts[-1]
    assert [len(part) for part in parts] == [3, 3, 3] and len({item for part in parts for item in part}) == 9
    with pytest.raises(ValueError, match="found 2 patches in an epoch for 3 processes"):
        draw(range(2))
