from __future__ import annotations

import os

import pytest
from scripts.core.aside import put_aside


@pytest.fixture
def pair(tmp_path):
    for name in ("model.pt", "model.json"):
        (tmp_path / name).write_text(name)
    return tmp_path / "model.pt", tmp_path / "model.json"


def _content(folder):
    return sorted((p.name, p.read_text()) for p in folder.iterdir())


def test_a_file_and_what_belongs_to_it_get_another_name_of_its_content(tmp_path, pair):
    assert put_aside(pair[0], [pair[1], tmp_path / "absent.json"]) == tmp_path / "model.d68732da.pt"
    assert _content(tmp_path) == [("model.d68732da.json", "model.json"), ("model.d68732da.pt", "model.pt")]


@pytest.mark.parametrize("after", [False, True])
def test_killed_meanwhile_weights_are_never_without_their_description(tmp_path, pair, monkeypatch, after):
    real = os.replace

    def killed(*names):
        if after:
            real(*names)
        raise SystemExit

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        put_aside(pair[0], [pair[1]])
    (weights,) = tmp_path.glob("*.pt")
    assert weights.with_suffix(".json").read_text() == "model.json"
    monkeypatch.undo()
    if not after:
        put_aside(pair[0], [pair[1]])
        assert _content(tmp_path) == [("model.d68732da.json", "model.json"), ("model.d68732da.pt", "model.pt")]
