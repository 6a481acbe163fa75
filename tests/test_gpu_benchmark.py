"""The script for a GPU, run small on the processor: every figure that it is made for is in its record."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("shapely", reason="slides need the extra slides")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import gpu
import networks
from scripts.core.facts import load_facts


def _numbers(content):
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [number for item in content for number in _numbers(item)]
    return [content] if isinstance(content, (int, float)) and not isinstance(content, bool) else []


def test_every_figure_is_in_the_record(tmp_path, capsys):
    out = tmp_path / "gpu.json"
    gpu.main(["--small", "--device", "cpu", "--limit", "inf", "--out", str(out)])
    content = json.loads(out.read_text())
    found = content["results"]
    assert set(found) == {*gpu.PARTS, "epochs", "seconds"} and set(found["seconds"]) == set(gpu.PARTS)
    assert all(math.isfinite(number) and number >= 0 for number in _numbers(found))

    plain = found["pseudo_masks"]["patches_per_second"]
    assert {kind: set(rates) >= {"plain, 12 passes", "this bundle"} for kind, rates in plain.items()} == {
        "multi": True,
        "mix": True,
    }
    assert found["pseudo_masks"]["differing"]["plain, 12 passes"]["pixels"] <= 6
    tasks = found["networks"]["tasks"]
    assert set(tasks) == {"classifier", "segmenter", "inference"}
    assert all(task["ratio"]["plain"] == 1 and task["share_of_peak"] > 0 for task in tasks.values())
    assert set(found["networks"]["peak_flops"]) == {"torch.float32", "torch.bfloat16"}

    training = found["training"]
    assert set(training["patches_per_second"]) == {gpu.PLAIN, gpu.OURS, gpu.WORKERS, gpu.COMPILED}
    for name, rate in training["from_memory"].items():
        share = rate * training["flops_per_patch"] / training["peak_flops"]
        assert training["share_of_peak"][name] == pytest.approx(share)
    slide = found["slide"]
    assert slide["pixels"]["slide"] == 1200**2 and 0 < slide["pixels"]["tissue"] < 1200**2
    whole, tissue = (slide["microseconds_per_pixel"][name] * slide["pixels"][name] for name in ("slide", "tissue"))
    assert whole == pytest.approx(tissue) == pytest.approx(slide["seconds"][-1] * 1e6)

    rate = training["patches_per_second"][gpu.COMPILED]
    projected = found["epochs"][f"default classifier, {gpu.COMPILED}"]
    assert projected == pytest.approx({"LUAD-HistoSeg": 16_678 / rate, "BCSS-WSSS": 23_422 / rate})
    assert len(found["epochs"]) == 3 + 4 + len(plain["mix"])
    assert "one pass, pseudo masks, this bundle" in capsys.readouterr().out


def test_no_part_starts_after_the_limit_and_the_record_has_those_before(tmp_path, monkeypatch, capsys):
    for part in gpu.PARTS:
        monkeypatch.setattr(gpu, f"measure_{part}", lambda *_: {"measured": 1})
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: next(clock))
    out = tmp_path / "gpu.json"
    gpu.main(["--limit", "500", "--device", "cpu", "--out", str(out)])
    assert set(json.loads(out.read_text())["results"]) == {"pseudo_masks", "networks", "seconds", "epochs"}
    assert "training: not started, 500 s have gone" in capsys.readouterr().out


def test_plain_and_own_training_see_the_same_patches_and_the_own_is_as_the_config_has_it(tmp_path):
    data = gpu._dataset(tmp_path / "data", 20, 32, 0)
    assert load_facts(data).classes == gpu.CLASSES
    own, plain = (gpu.Training(data, torch.device("cpu"), plain=plain) for plain in (False, True))
    assert own.patches == plain.patches == 16 and own.batch_size == 16
    assert own.batch[0].is_contiguous(memory_format=torch.channels_last) and plain.batch[0].is_contiguous()
    assert own.content("cache_num") == 5000 and plain.content("cache_num") == 0 and plain.content("amp") is False
    before = [p.detach().clone() for p in plain.network.parameters()]
    plain.epoch()
    assert any(not torch.equal(a, b) for a, b in zip(before, plain.network.parameters(), strict=True))


def test_epochs_of_what_was_not_measured_are_left_out():
    assert gpu.epochs({"training": {"patches_per_second": {"plain": 2.0}}}) == {
        "default classifier, plain": {data: count / 2 for data, count in networks.PATCHES.items()}
    }
