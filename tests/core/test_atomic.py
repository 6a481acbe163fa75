from __future__ import annotations

import errno
import shutil
from collections import namedtuple

import pytest
import torch
from scripts.core.atomic import save_state, write_text


@pytest.mark.parametrize(("free", "number"), [(0, errno.ENOSPC), (2**30, errno.EIO)])
def test_a_state_that_cannot_be_written_is_an_error_of_its_file_and_leaves_nothing(tmp_path, monkeypatch, free, number):
    """PyTorch raises the same for a full disk and for a broken one, and none of the operating system."""

    def save(_state, file):
        file.write(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 832 vs 726")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(free))
    (tmp_path / "last.pt").write_text("before")
    with pytest.raises(OSError) as error:
        save_state(tmp_path / "last.pt", {}, save)
    assert (error.value.errno, error.value.filename) == (number, str(tmp_path / "last.pt"))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


def test_the_same_state_has_the_same_bytes(tmp_path):
    for name in ("a.pt", "b.pt"):
        save_state(tmp_path / name, {"weight": torch.arange(3.0)})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert torch.load(tmp_path / "a.pt", weights_only=True)["weight"].tolist() == [0, 1, 2]


def test_errors_without_a_name_get_that_of_the_file(tmp_path, monkeypatch):
    def full(*_arguments, **_settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/a\.txt'"):
        write_text(tmp_path / "a.txt", "x")
    assert not list(tmp_path.iterdir())
