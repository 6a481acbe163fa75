"""What a slide's record says: finished or not, how often started, what went wrong."""

from __future__ import annotations

import json

import pytest
from fake_slides import segment, starts, write_slides
from scripts.slides.cohort_inputs import SlideTask
from scripts.slides.slide_record import MOST_STARTS, is_finished, read_record, work_on


class Killed(BaseException):
    """Ends a start as the death of its process does: nothing more is written."""


@pytest.fixture
def task(tmp_path):
    return SlideTask(write_slides(tmp_path / "in", a="good") / "a.svs", "a", (0.5, 0.5))


def _die(mm2: float):
    def segment(_task, _folder, report):
        report(mm2)
        raise Killed

    return segment


def _start(task, folder, run, mm2=0.5, again=True):
    try:
        return work_on(task, _die(mm2), folder, "f", run=run, again=again)
    except Killed:
        return None


def test_a_finished_slide_is_done_once(task, tmp_path):
    reached = []
    assert work_on(task, segment, tmp_path, "f", reached.append).state == "finished"
    assert reached == [0.5, 2.0]
    assert work_on(task, segment, tmp_path, "f").state == "before"
    assert starts(tmp_path) == {"a": 1}
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["state"] == "finished" and record["result"]["tissue_mm2"] == 2.0 and record["seconds"] >= 0


def test_it_is_done_again_when_slide_pixel_size_or_settings_change_or_outputs_go(task, tmp_path):
    work_on(task, segment, tmp_path, "f")
    assert is_finished(task, tmp_path, "f")
    assert not is_finished(task, tmp_path, "g")
    assert not is_finished(SlideTask(task.path, "a", (0.25, 0.5)), tmp_path, "f")
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert not is_finished(task, tmp_path, "f")
    (tmp_path / "b.txt").rename(tmp_path / "a.txt")
    task.path.write_text("changed")
    assert not is_finished(task, tmp_path, "f")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "finished"}', "[" * 5000])
def test_a_damaged_record_is_none(task, tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert read_record(tmp_path, "a") == {}
    assert work_on(task, segment, tmp_path, "f").state == "finished"


def test_a_slide_that_ends_its_process_is_given_up_in_that_run(task, tmp_path):
    for number in range(MOST_STARTS):
        assert _start(task, tmp_path, "run") is None
        assert read_record(tmp_path, "a")["starts"] == number + 1
        assert _start(task, tmp_path, "run", again=False).state == ("later" if number + 1 < MOST_STARTS else "given up")
        if number + 1 == MOST_STARTS:
            break
    record = read_record(tmp_path, "a")
    assert record["state"] == "given up" and "died at each of 3 starts" in record["error"]
    assert work_on(task, segment, tmp_path, "f", run="another").state == "finished"


def test_one_that_gets_further_is_not_given_up(task, tmp_path):
    for mm2 in range(1, 10):
        assert _start(task, tmp_path, "run", mm2) is None
        assert read_record(tmp_path, "a")["starts"] == 1


def test_without_a_run_starts_are_counted_and_nothing_is_given_up(task, tmp_path):
    for number in range(5):
        assert _start(task, tmp_path, None) is None
        assert read_record(tmp_path, "a")["starts"] == number + 1


@pytest.mark.parametrize(
    ("word", "state", "words"),
    [
        ("broken", "failed", "a.svs: not a slide"),
        ("fault", "failed", "KeyError: 'something of our own' (a fault of this program, or of a file of your own)"),
        ("full", "disk full", "the disk is full"),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path, word, state, words):
    task = SlideTask(write_slides(tmp_path / "in", a=word) / "a.svs", "a")
    outcome = work_on(task, segment, tmp_path / "out")
    assert outcome.state == state and words in outcome.line and "\n" not in outcome.line
    assert outcome.line.count(str(task.path)) == 1
    record = read_record(tmp_path / "out", "a")
    assert record["state"] == "failed" and record["error"] == outcome.line
    assert ("traceback" in record) == (word == "fault")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.json", "starts"]


def test_a_slide_that_has_gone_is_named(task, tmp_path):
    task.path.unlink()
    outcome = work_on(task, segment, tmp_path)
    assert outcome.state == "failed" and outcome.line == f"{task.path}: No such file or directory"
