"""The benchmark of exports: contestants compute the same thing, and scores are of the form that they name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from made_exports import NEEDS_ONNX, write_decided_models
from scripts.core.image_writers import write_image, write_mask
from scripts.data.datalist import write_datalist
from small_slides import FACTS, drawn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import exports
import numpy as np
import torch


@NEEDS_ONNX
def test_every_form_is_timed_and_scored(tmp_path, capsys):
    run, pixels = tmp_path / "tiny/0", drawn()
    write_decided_models(run / "default/models", seed=3)  # sure enough for the check of 8 bits
    sections = {"training": [], "validation": []}
    for number in range(20):
        write_image(run / f"data/p{number}.png", pixels[100 + 8 * number : 164 + 8 * number, 100:164])
        sections["training"].append({"image": f"p{number}.png", "label": [1, 0, 0]})
    write_image(run / "data/v.png", pixels[100:200, 60:190])
    write_mask(run / "data/m.png", np.arange(13000).reshape(100, 130) % 3, FACTS)
    sections["validation"].append({"image": "v.png", "mask": "m.png"})
    write_datalist(run / "data/datalist.json", FACTS, sections)
    words = ["--work", str(tmp_path), "--datasets", "tiny", "--rounds", "1", "--calls", "1", "--no-compile"]
    assert exports.main([*words, "--out", str(tmp_path / "record.json")]) == 0
    results = json.loads((tmp_path / "record.json").read_text())["results"]
    assert results["speed"].keys() == {"1", "16"} and all(
        "failed" not in r for s in results["speed"].values() for r in s.values()
    )
    scores = results["scores"]["tiny"]
    assert scores["torchscript"]["miou"] == scores["onnx"]["miou"] == scores["pytorch"]["miou"] and len(scores) == 4
    printed = capsys.readouterr().out
    assert "ONNX Runtime, int8" in printed and "load before and after" in printed


@NEEDS_ONNX
def test_contestants_compute_the_same(tmp_path):
    run = tmp_path / "tiny/0"
    write_decided_models(run / "default/models")
    write_image(run / "data/p.png", drawn()[100:164, 100:164])
    write_datalist(run / "data/datalist.json", FACTS, {"training": [{"image": "p.png", "label": [1, 0, 0]}]})
    weights = exports.exported(run, tmp_path / "exports")
    image = torch.from_numpy(drawn()[120:184, 120:184].transpose(2, 0, 1).astype(np.float32))[None] / 255
    with torch.inference_mode():
        found = {name: network(image) for name, network in exports.networks(weights, tmp_path / "exports", False).items()}
    expected = found.pop(exports.PLAIN)
    for name, probabilities in found.items():
        near = 0.4 if "int8" in name or "bfloat16" in name else 1e-5
        assert float((probabilities - expected).abs().max()) == pytest.approx(0, abs=near), name


def test_the_page_s_tables_are_those_of_the_record():
    root = Path(__file__).resolve().parents[1]
    results = json.loads((root / "benchmarks/results/exports.json").read_text())["results"]
    page = (root / "bundle/docs/how-to/export.md").read_text(encoding="utf-8")
    for row in [*exports.speed_rows(results["speed"]), *exports.score_rows(results["scores"])]:
        assert f"| {' | '.join(row)} |" in page
    losses = [found["onnx"]["miou"] - found["onnx_int8"]["miou"] for found in results["scores"].values()]
    assert len(losses) == 2 and max(losses) <= 0.5
