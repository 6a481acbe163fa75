from __future__ import annotations

import threading

import pytest
from scripts.run.patience import Patience


def test_calls_are_made_in_order():
    made, lost = [], []
    patience = Patience(lost.append, limit=60)
    for number in range(20):
        patience.call(made.append, number)
    assert patience.wait() and made == list(range(20)) and not lost


@pytest.mark.parametrize("error", [OSError("gone"), SystemExit("no"), KeyboardInterrupt()])
def test_the_first_failure_is_told_once_and_nothing_is_called_after_it(error):
    made, lost = [], []

    def fail():
        raise error

    patience = Patience(lost.append, limit=60)
    patience.call(fail)
    patience.call(fail)
    patience.call(made.append, 1)
    assert not patience.wait() and lost == [error] and not made
    patience.call(made.append, 2)
    assert not patience.wait() and not made


def test_a_call_that_hangs_is_waited_for_once_and_keeps_no_process_from_its_end():
    free, made, lost = threading.Event(), [], []
    patience = Patience(lost.append, limit=0.05)
    patience.call(free.wait)
    assert not patience.wait() and [str(e) for e in lost] == ["not done within 0.05 s"]
    patience.limit = 1e6  # would be waited for, were it asked again
    patience.call(made.append, 1)
    assert not patience.wait()
    assert all(t.daemon for t in threading.enumerate() if t.name == "patience")
    free.set()


def test_what_fails_after_it_was_given_up_is_not_told_again():
    free, lost = threading.Event(), []
    patience = Patience(lost.append, limit=0.05)

    def fail():
        free.wait()
        raise OSError("gone")

    patience.call(fail)
    assert not patience.wait()
    free.set()
    patience._calls.put(free.clear)
    while free.is_set():
        pass
    assert len(lost) == 1
