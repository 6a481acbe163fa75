"""A tenth of what the benchmarks of robustness try: bad inputs, and runs that are killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import bad_inputs
import kills
from damage import Case, outcome
from runs import Runs


def test_a_bad_input_is_read_right_or_refused_in_one_message():
    table, faults = bad_inputs.run(count=1200, seed=0, share=0.1, progress=False)
    assert faults == []
    assert sum(sum(counts.values()) for counts in table.values()) > 120 and len(table) > 15


def _write(folder):
    (folder / "a.txt").write_text("1")
    return folder / "a.txt"


def _raise(error):
    raise error


def _leave(path):
    (path.parent / ".half-written").touch()
    return 1


@pytest.mark.parametrize(
    ("read", "truth", "expected"),
    [
        (lambda path: 1, 1, "right"),
        (lambda path: 2, 1, "silent"),
        (lambda path: _raise(ValueError(f"{path}: found 2, expected 1")), 1, "refused"),
        (lambda path: _raise(ValueError("found 2, expected 1")), 1, "unclear"),
        (lambda path: _raise(ValueError(f"{path}: set weights_only=False")), 1, "unclear"),
        (lambda path: _raise(KeyError(path)), 1, "traceback"),
        (lambda path: bytearray(2**40), 1, "run-away"),
        (lambda path: __import__("os").abort(), 1, "run-away"),
        (_leave, 1, "litter"),
    ],
)
def test_the_benchmark_tells_outcomes_apart(read, truth, expected):
    assert outcome(Case("kind", "damage", _write, read, truth))[0] == expected


def test_a_sound_input_that_is_refused_is_a_fault():
    read = lambda path: _raise(ValueError(f"{path}: no"))  # noqa: E731
    assert outcome(Case("kind", "damage", _write, read, 1, sound=True))[0] == "refused wrongly"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("runs"))


def test_a_run_that_was_killed_goes_on_and_ends_as_one_that_was_not(runs):
    table, faults = kills.run(runs, kills=10, progress=False)
    assert faults == []
    assert sum(counts["ended"] for counts in table.values()) >= 5


def test_of_two_runs_in_one_folder_one_works_and_the_other_is_told(runs):
    assert kills.two_at_once(runs) == []
