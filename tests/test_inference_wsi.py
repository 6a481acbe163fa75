"""The config: slides segmented once, listed before, shared among processes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from small_slides import FACTS, drawn, write_slide, write_stain_models

pytest.importorskip("openslide")
pytest.importorskip("rasterio")
pytest.importorskip("shapely")

CONFIG = str(Path(BUNDLE_ROOT) / "configs/inference_wsi.yaml")
OWN = [str(Path(__file__).parent / name) for name in ("tiny.py", "small_slides.py")]  # the networks


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    for seed, name in enumerate(("one", "two")):
        write_slide(folder / "slides" / f"{name}.tif", drawn(500, 600, seed))
    return {"slides": str(folder / "slides"), "model_dir": str(write_stain_models(folder / "models"))}


@pytest.fixture
def out(tmp_path, new_store):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mlruns.db").write_bytes(new_store)
    return tmp_path / "out"


def workflow(given, out, **settings) -> ConfigWorkflow:
    found = ConfigWorkflow(
        CONFIG, workflow_type=None, logging_file=False, progress=False, device="cpu", threads=1, **given,
        output_dir=str(out), **settings,
    )  # fmt: skip
    found.initialize()
    return found


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "inference_wsi/cohort.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def times(out: Path) -> dict[str, int]:
    return {
        p.name: p.stat().st_mtime_ns for p in (out / "inference_wsi").glob("*") if p.suffix in (".tif", ".geojson", ".jpg")
    }


def test_slides_are_listed_segmented_and_skipped(given, out, capsys):
    workflow(given, out, dry_run=True).run()
    printed = capsys.readouterr().out
    assert "2 slides to do of 2" in printed and printed.count(" min") == 3
    assert not list(out.glob("inference_wsi/*.tif"))
    workflow(given, out).run()
    ends = (".ome.tif", ".geojson", "_overlay.jpg", ".json")
    files = {p.name for p in (out / "inference_wsi").iterdir()}
    assert {f"{name}{end}" for name in ("one", "two") for end in ends} <= files
    assert {"cohort.csv", "cohort.html", "stage.json"} <= files
    for row in rows_of(out):
        labels = tifffile.imread(out / "inference_wsi" / f"{row['name']}.ome.tif")
        assert row["state"] == "finished" and labels.shape == (250, 300)
        for number, name in enumerate(FACTS.classes):
            assert int(row[f"{name} pixels"]) == (labels == number).sum()
    before = times(out)
    assert len(before) == 6
    workflow(given, out).run()
    assert times(out) == before
    workflow(given, out, tissue="none").run()  # other settings, other outputs
    assert all(new > before[name] for name, new in times(out).items())
    assert "0 slides to do" in (workflow(given, out, tissue="none", dry_run=True).run(), capsys.readouterr().out)[1]


def test_shards_at_the_same_time(given, out, new_store):
    """The second in a process of its own, on the command line."""
    for number in (1, 2):
        (out / f"shards/{number}-of-2").mkdir(parents=True)
        (out / f"shards/{number}-of-2/mlruns.db").write_bytes(new_store)
    settings = {**given, "own": str(OWN), "output_dir": str(out), "shard": "2/2", "device": "cpu", "progress": "False"}
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    other = subprocess.Popen(
        [sys.executable, "-m", "monai.bundle", "run", "--config_file", CONFIG, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    workflow(given, out, shard="1/2", own=OWN).run()
    said = other.communicate(timeout=900)[0]
    assert other.returncode == 0, said
    assert sorted(p.name for p in (out / "shards").iterdir()) == ["1-of-2", "2-of-2"]
    assert [(row["name"], row["state"]) for row in rows_of(out)] == [("one", "finished"), ("two", "finished")]
    assert len(times(out)) == 6
    records = [json.loads((out / f"shards/{n}-of-2/inference_wsi/stage.json").read_text()) for n in (1, 2)]
    assert len({record["fingerprint"] for record in records}) == 1


def test_a_broken_slide_is_named_at_the_end(given, out, tmp_path):
    write_slide(tmp_path / "s/good.tif", drawn(500, 600, 1))
    (tmp_path / "s/bad.svs").write_bytes(b"no slide")
    with pytest.raises(SystemExit, match=r"1 slides were not segmented:\n.*bad\.svs"):
        workflow({**given, "slides": str(tmp_path / "s")}, out).run()
    assert {row["name"]: row["state"] for row in rows_of(out)} == {"bad": "failed", "good": "finished"}
