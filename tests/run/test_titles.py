from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts.run.titles import run_tags, run_title

FACTS = {"classes": ["a", "b"], "name": "GlaS"}


@pytest.fixture
def weights(tmp_path) -> Path:
    content = {"kind": "segmenter", "recipe": "paper", "dataset": {**FACTS, "name": "BCSS"}}
    (tmp_path / "model.json").write_text(json.dumps(content))
    return tmp_path / "model.json"


def test_a_run_is_known_by_dataset_recipe_and_seed(weights):
    tags = run_tags("train", {"recipe": "recipes/mine"}, 3, reads=[[{"image": "x"}], FACTS])
    assert (tags["dataset"], tags["recipe"], tags["seed"], tags["stage"]) == ("GlaS", "mine", "3", "train")
    assert run_title(tags) == "GlaS, mine, seed 3: train"
    assert tags["mlflow.note.content"].startswith("Training of the segmenter on pseudo masks of GlaS, recipe mine, seed 3")


def test_of_weights_their_description_says_what_nothing_else_does(weights):
    tags = run_tags("inference", {"recipe": "$@x"}, 0, inputs=[weights.with_suffix(".pt"), weights])
    assert run_title(tags) == "BCSS, paper, seed 0: inference"
    assert run_title(run_tags("evaluate", {}, 0, reads=[FACTS], inputs=[weights])) == "GlaS, paper, seed 0: evaluate"


def test_the_pipeline_reads_its_datalist(tmp_path):
    (tmp_path / "datalist.json").write_text(json.dumps({**FACTS, "training": []}))
    tags = run_tags("pipeline", {"recipe": None}, 1, inputs=[tmp_path / "datalist.json"])
    assert run_title(tags) == "GlaS, default, seed 1"


def test_what_is_not_known_is_left_out(tmp_path):
    (tmp_path / "model.json").write_text("[")
    tags = run_tags("train", {}, 0, inputs=[tmp_path / "model.json", tmp_path / "datalist.json"])
    assert "dataset" not in tags and run_title(tags) == "default, seed 0: train"
