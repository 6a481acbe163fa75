"""Seconds of an answer: all that its place was looked at, whatever was done between."""

from __future__ import annotations

from label_browser import TIMED, label_content, press, wait

SECONDS = "(name) => Labelling.app.session.answers.get(`patches/${name}.png`).seconds"


def test_seconds_of_an_answer_that_is_taken_back_go_to_the_next(label):
    page = label(script=TIMED)
    wait(page, 2)
    press(page, "1", "Enter")
    assert page.evaluate(SECONDS, "p0") == 2
    wait(page, 0.5)  # at p1
    press(page, "z")
    wait(page, 0.25)
    press(page, "2", "Enter")
    assert page.evaluate(SECONDS, "p0") == 2.25
    press(page, "2", "Enter")
    assert page.evaluate(SECONDS, "p1") == 0.5
    press(page, "ArrowLeft", "ArrowLeft")
    wait(page, 1)
    press(page, "3", "Enter", "z")  # a second answer to p0 is taken back
    assert page.evaluate(SECONDS, "p0") == 2.25
    press(page, "1", "Enter")
    assert page.evaluate(SECONDS, "p0") == 3.25


def test_seconds_of_a_place_that_is_left_count_when_it_is_answered(label):
    page = label(script=TIMED)
    wait(page, 2)
    press(page, "ArrowRight")
    wait(page, 5)
    press(page, "ArrowLeft", "1", "Enter", "1", "Enter")
    assert [page.evaluate(SECONDS, name) for name in ("p0", "p1")] == [2, 5]
    wait(page, 1)  # p2
    press(page, "g")  # p2, p4
    wait(page, 4)
    press(page, "g")
    wait(page, 1)
    press(page, "g")
    wait(page, 6)
    press(page, "2", "Enter")
    assert [page.evaluate(SECONDS, name) for name in ("p2", "p4")] == [1 + 2 + 1 + 3, 2 + 3]


def test_little_time_is_said_to_be_little(label):
    page = label(label_content(60), script=TIMED)
    wait(page, 1)
    press(page, "1", "Enter")
    assert page.inner_text("#figures") == "1 / 60 · 1.0 s per patch · under a minute so far · under a minute left"
    wait(page, 3)
    press(page, "1", "Enter")
    assert page.inner_text("#figures") == "2 / 60 · 2.0 s per patch · under a minute so far · about 2 min left"
    for _ in range(4):
        wait(page, 25)
        press(page, "1", "Enter")
    assert page.inner_text("#figures") == "6 / 60 · 25.0 s per patch · 2 min so far · about 23 min left"


def test_seconds_at_the_summary_belong_to_no_patch(label):
    page = label(label_content(1), script=TIMED)
    wait(page, 3)
    press(page, "1", "Enter")
    wait(page, 20)
    press(page, "ArrowLeft")
    wait(page, 1)
    press(page, "2", "Enter")
    assert page.evaluate(SECONDS, "p0") == 4
