from __future__ import annotations

import logging

import pytest
from scripts.data.split_summary import next_step, split_summary, warn_of_the_split

SETS = {
    "training": [{"group": "case1"}] * 3 + [{"group": "case2"}] * 5 + [{}],
    "validation": [{"group": "TCGA-A1-A0SK-DX1_xmin45749_ymin25055"}],
    "test": [{}, {}],
}


def test_groups_and_entries_of_each_section():
    assert split_summary(SETS).splitlines() == [
        "training: 9 images of 2 groups (the largest: case2 5, case1 3), 1 of no group",
        "validation: 1 images of 1 group (TCGA-A1-A0S..9_ymin25055)",
        "test: 2 images of no group",
    ]


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"training": [{"group": "x"}] * 4, "validation": [], "test": []}, "NOTHING IS HELD OUT: all 4 training patches"),
        ({"training": [{}], "validation": [], "test": []}, "NOTHING IS HELD OUT"),
        ({**SETS, "test": [{"group": "case2"}]}, "1 groups stand in training and in test"),
        (SETS, None),
        ({"training": [{"group": "x"}, {"group": "y"}], "validation": []}, None),
        ({"training": [{}, {}], "validation": []}, None),
    ],
)
def test_what_is_said_loudly(sections, says, caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_the_split(sections)
    assert caplog.messages == [] if says is None else caplog.messages[0].startswith(says)


def test_the_next_command_names_the_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    next_step(tmp_path / "my set", settings={"train": {}})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("next: python -m monai.bundle run --config_file ") and "configs/pipeline.yaml" in first
    assert first.endswith("--dataset_dir 'my set' --output_dir 'my set_run'") and "dataset file" in second
