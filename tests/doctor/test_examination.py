from __future__ import annotations

import logging
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.doctor.examination import examine, table
from scripts.doctor.finding import Finding
from tiny import write_models


def test_a_line_says_state_thing_and_what_to_do():
    found = [Finding("disk", "ok", "9 GB"), Finding("slides", "missing", "no openslide", "pip install openslide")]
    assert table(found) == "ok       disk    9 GB\nmissing  slides  no openslide\n                 -> pip install openslide"


def test_what_nobody_asked_for_does_not_fail(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr("scripts.doctor.examination.packages", lambda: [Finding("slides", "missing", "no openslide")])
    with caplog.at_level(logging.INFO):
        found = examine(str(tmp_path))
    assert [f.what for f in found] == ["devices", "threads", "memory", "output_dir", "slides"]
    assert "missing  slides      no openslide" in caplog.text


def test_the_config_fails_over_what_is_named_and_broken(tmp_path, caplog):
    models = write_models(tmp_path / "models", DatasetFacts(classes=("a", "b")))

    def run(**settings):
        config = str(Path(BUNDLE_ROOT) / "configs/doctor.yaml")
        workflow = ConfigWorkflow(config, workflow_type=None, logging_file=False, output_dir=str(tmp_path), **settings)
        workflow.initialize()
        workflow.run()

    run(model_dir=str(models))
    (models / "classifier.pt").unlink()
    uri = f"sqlite:///{tmp_path}/none/all.db"
    with caplog.at_level(logging.INFO), pytest.raises(RuntimeError) as error:
        run(model_dir=str(models), tracking_uri=uri)
    lines = str(error.value.__cause__).splitlines()
    assert [line.split(":")[0] for line in lines] == ["weights of the classifier", "tracking_uri"]
    assert "ok       weights of the segmenter" in caplog.text
