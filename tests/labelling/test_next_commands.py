"""The commands that follow a round of labelling."""

from __future__ import annotations

import json
import shlex

import pytest
from scripts import BUNDLE_ROOT
from scripts.labelling.next_commands import next_commands


def _read(command):
    """Config and options of a command, as a shell would give them."""
    words = shlex.split(command)
    assert words[:5] == ["python", "-m", "monai.bundle", "run", "--config_file"]
    return words[5], dict(zip(words[6::2], words[7::2], strict=True))


def _dataset(folder, layout):
    folder.mkdir()
    (folder / "prepare.json").write_text(json.dumps({"format": 1, "settings": {"layout": layout}}))
    return folder


def test_they_have_the_users_paths_and_can_be_copied_to_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    train, suggest = map(_read, next_commands("~/Ada's slides/*.svs", "my labels/"))
    assert train == (
        f"{BUNDLE_ROOT}/configs/pipeline.yaml",
        {
            "--source": f"{tmp_path}/my labels", "--prepare": "{'layout': 'labelled', 'overwrite': True}",
            "--dataset_dir": f"{tmp_path}/my labels_set", "--output_dir": f"{tmp_path}/my labels_run",
        },
    )  # fmt: skip
    assert suggest == (
        f"{BUNDLE_ROOT}/configs/suggest.yaml",
        {
            "--source": "/home/ada/Ada's slides/*.svs", "--label_dir": f"{tmp_path}/my labels",
            "--model_dir": f"{tmp_path}/my labels_run/models", "--dataset_dir": f"{tmp_path}/my labels_set",
        },
    )  # fmt: skip


def test_several_sources_are_a_list(tmp_path):
    _, suggest = next_commands([tmp_path / "a", "/b c"], tmp_path / "labels")
    assert _read(suggest)[1]["--source"] == f"['{tmp_path}/a', '/b c']"


def test_dataset_and_run_of_rounds_are_gone_on_with(tmp_path):
    _dataset(tmp_path / "set", "labelled")
    (tmp_path / "run" / "train_classifier").mkdir(parents=True)
    train, suggest = next_commands("/s", tmp_path / "labels", tmp_path / "set", tmp_path / "run" / "models")
    assert _read(train)[1]["--dataset_dir"] == f"{tmp_path}/set" and _read(train)[1]["--output_dir"] == f"{tmp_path}/run"
    assert _read(suggest)[1]["--model_dir"] == f"{tmp_path}/run/models"
    train, _ = next_commands("/s", tmp_path / "labels", tmp_path / "set", tmp_path / "weights")  # of no run
    assert _read(train)[1]["--output_dir"] == f"{tmp_path}/labels_run"


@pytest.mark.parametrize("layout", ["patches", None])
def test_a_dataset_of_something_else_is_not_written_over(tmp_path, layout):
    data = tmp_path / "set" if layout is None else _dataset(tmp_path / "set", layout)
    (tmp_path / "run" / "train_classifier").mkdir(parents=True)
    train, suggest = next_commands("/s", tmp_path / "labels", data, tmp_path / "run" / "models")
    assert _read(train)[1]["--dataset_dir"] == _read(suggest)[1]["--dataset_dir"] == f"{tmp_path}/labels_set"
    assert _read(train)[1]["--output_dir"] == f"{tmp_path}/labels_run"
