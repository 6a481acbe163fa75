from __future__ import annotations

import io
import sys

import pytest
from ignite.engine import Engine
from scripts.core.progress import EngineProgress, overall_progress, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Makes the error stream one: within a test, as pytest sets its own before it."""

    def make():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return make


def _run(epochs, first=0, show=True):
    """An engine of 5 iterations an epoch, which may go on after some."""
    seen = []
    engine = Engine(lambda _engine, _batch: seen.append(progress.bar and (progress.bar.n, progress.bar.total)))
    progress = EngineProgress("segmenter", show)
    progress.attach(engine)
    engine.state.epoch, engine.state.iteration = first, 5 * first
    engine.state.max_epochs, engine.state.epoch_length = epochs, 5
    engine.run(range(5))
    return seen


def test_a_bar_goes_over_all_epochs_that_are_left(terminal):
    terminal = terminal()
    assert _run(3) == [(n, 15) for n in range(15)]
    assert "segmenter:" in terminal.getvalue() and "left" in terminal.getvalue()
    assert _run(3, first=2) == [(n, 5) for n in range(5)]


def test_no_bar_where_none_is_wanted_or_nobody_looks(terminal, monkeypatch):
    terminal = terminal()
    assert _run(1, show=False) == [None] * 5
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    _run(1)
    assert list(track("abc", "x", 3)) == list("abc")
    assert not sys.stderr.getvalue() and not terminal.getvalue()


def test_one_bar_over_all_stages_in_their_shares(terminal):
    terminal = terminal()
    with overall_progress({"a": 30.0, "b": 10.0, "c": 60.0}) as bar:
        bar.begin("a")
        _run(2)
        assert bar.bar.n == pytest.approx(30)
        bar.begin("b")  # finished before: taken off the whole
        bar.leave_out(1.0)
        bar.reach(1.0)
        assert (bar.bar.n, bar.bar.total) == (pytest.approx(30), pytest.approx(90))
        bar.begin("c")  # continued after two of three epochs, which is all that is left of it
        assert list(track("abc", "x", 3)) == list("abc")
        _run(3, first=2)
        assert (bar.bar.n, bar.bar.total) == (pytest.approx(50), pytest.approx(50))
        bar.reach(1.0)
        assert bar.bar.n == pytest.approx(bar.bar.total)
    assert "stage 3/3 c" in terminal.getvalue() and "segmenter" not in terminal.getvalue()
    _run(1)  # afterwards each has its own again
    assert "segmenter" in terminal.getvalue()
