from __future__ import annotations

import errno
import logging
import sys

import pytest
import torch
from scripts.core import errors, log
from scripts.core.errors import message, root_cause
from scripts.core.log import logged_to


def _raised(error):
    """As MONAI raises it out of a configuration."""
    try:
        try:
            raise error
        except type(error) as inner:
            raise RuntimeError("Failed to evaluate ConfigExpression") from inner
    except RuntimeError as wrapped:
        return wrapped


def test_root_cause_is_the_message_that_matters():
    assert str(root_cause(_raised(ValueError("x.png: found this, expected that")))) == "x.png: found this, expected that"
    plain = RuntimeError("other")
    assert root_cause(plain) is plain


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x.png: found this"), "x.png: found this"),
        (FileNotFoundError("x.png: no such file"), "x.png: no such file"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.png"), "x.png: No such file or directory"),
        (BlockingIOError("out: in use by stage train"), "out: in use by stage train"),
        (OSError(errno.ENOSPC, "No space left on device", "out/last.pt"),
         "out/last.pt: the disk is full (No space left on device); free some space, and the same command continues"),
        (MemoryError(), "out of memory (a piece of it could not be had): set a smaller batch_size, cache_num or num_workers"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
         "out of memory ([enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried): "
         "set a smaller batch_size, cache_num or num_workers"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has"),
         "out of memory (CUDA out of memory. Tried to allocate 2 GiB.): set a smaller batch_size, cache_num or num_workers"),
        (KeyError("x"), None),
        (RuntimeError("other"), None),
        (ValueError(), None),
    ],
)  # fmt: skip
def test_what_files_settings_and_the_machine_are_the_cause_of_is_one_message(error, expected):
    assert message(error) == expected


@pytest.fixture
def hook(monkeypatch):
    monkeypatch.setattr(log, "_logs", [])  # a stage that failed in another test may still have its own
    seen = []
    return errors._hook(lambda *error: seen.append(error)), seen


def test_a_user_error_is_one_message_and_its_traceback_goes_to_the_log(tmp_path, hook, capsys):
    hook, seen = hook
    error = _raised(ValueError("x.png: found this"))
    hook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == "error: x.png: found this\n(set TISSUE_TRACEBACK=1 for the traceback)\n"
    with logged_to(tmp_path / "log.txt"):
        hook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == f"error: x.png: found this\n(traceback in {tmp_path / 'log.txt'})\n"
    assert (tmp_path / "log.txt").read_text().count("Traceback (most recent call last)") == 2 and not seen


def test_a_fault_of_this_program_names_the_log_or_keeps_its_traceback(tmp_path, hook, capsys):
    hook, seen = hook
    error = _raised(KeyError("x"))
    hook(type(error), error, error.__traceback__)
    assert seen == [(RuntimeError, error, error.__traceback__)] and not capsys.readouterr().err
    with logged_to(tmp_path / "log.txt"):
        hook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == (
        f"error: KeyError: 'x' (a fault of this program, or of a file of your own)\n(traceback in {tmp_path / 'log.txt'})\n"
    )
    assert "KeyError: 'x'" in (tmp_path / "log.txt").read_text()


def test_nothing_is_installed_for_other_programs(monkeypatch):
    before = sys.excepthook, list(logging.getLogger().handlers)
    monkeypatch.setattr(sys, "argv", ["pytest"])
    errors.install()
    assert (sys.excepthook, logging.getLogger().handlers) == before
