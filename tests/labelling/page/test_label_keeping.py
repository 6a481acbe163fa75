"""No answer is lost: browsers that are killed, that keep nothing, windows side by side, files written and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import find_browser
from label_browser import (
    ARGS,
    at,
    kept,
    kill_browser,
    label_content,
    labels,
    opened,
    press,
    ready,
    table,
    until,
    write_label_folder,
)

_OFF = "Object.defineProperty(window, '{}', {{ get() {{ throw new DOMException('denied', 'SecurityError'); }} }});"
NO_DATABASE = _OFF.format("indexedDB")
NO_STORAGE = NO_DATABASE + _OFF.format("localStorage")
TAKE = "(csv) => Labelling.transfer.take(Labelling.app, csv)"
TEXT = "Labelling.transfer.text(Labelling.app)"


@pytest.fixture
def restarted(play, tmp_path):
    """Starts a browser on one and the same profile, again and again."""
    profile, path, started = tmp_path / "profile", find_browser(), []

    def start():
        started.append(play.chromium.launch_persistent_context(str(profile), executable_path=path, args=ARGS))
        return started[-1]

    yield start, lambda: kill_browser(profile)
    started[-1].close()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are not found by their command here")
def test_killed_browser_has_lost_nothing_that_was_said_to_be_kept(restarted, tmp_path):
    start, kill = restarted
    address = write_label_folder(tmp_path / "page", label_content(8))
    page = opened(start(), address)
    press(page, "1", "Enter", "2", "3", "Enter", "x")
    kept(page)
    before = page.evaluate(TEXT)
    kill()
    page = opened(start(), address, annotator=None)  # who labels is known, too
    assert page.evaluate(TEXT) == before
    assert labels(page) == {"p0": "100", "p1": "011", "p2": "?"} and at(page) == "p3"
    press(page, "0")
    kept(page)
    kill()
    page = opened(start(), address, annotator=None)
    assert labels(page) == {"p0": "100", "p1": "011", "p2": "?", "p3": "000"}


def test_kept_is_said_once_the_transaction_is_complete(label):
    page = label()
    page.evaluate("""() => {
      const { store } = Labelling.app, keep = store.keep;
      store.keep = async (...all) => { await new Promise((go) => (window.goOn = go)); return keep(...all); };
    }""")
    press(page, "1", "Enter")
    assert page.get_attribute("#kept", "data-state") == "keeping"
    assert page.inner_text("#said") == ""
    page.evaluate("goOn()")
    kept(page)
    assert page.inner_text("#said") == "kept: tumour"


def test_answer_that_was_not_kept_is_kept_with_the_next(label):
    page = label()
    page.evaluate("""() => {
      const { store } = Labelling.app;
      const keep = store.keep;
      store.keep = async () => { store.keep = keep; throw new Error("no room"); };
    }""")
    press(page, "1", "Enter")
    page.get_by_text("The browser could not keep 1 answers (no room). Export labels.csv").wait_for()
    assert page.get_attribute("#kept", "data-state") == "not"
    press(page, "2", "Enter")
    kept(page)
    assert page.locator(".notice").count() == 0
    page.reload()
    ready(page)
    assert labels(page) == {"p0": "100", "p1": "010"}


def test_without_a_database_local_storage_keeps(label):
    page = label(script=NO_DATABASE)
    press(page, "1", "Enter", "x", "a")
    kept(page)
    assert page.locator(".notice").count() == 0
    page.reload()
    ready(page)
    assert labels(page) == {"p0": "100", "p1": "?"} and page.evaluate("Labelling.app.oneKey") is True
    press(page, "z", "2")
    kept(page)
    assert page.evaluate("Object.keys(localStorage).filter((k) => k.includes('patches/')).length") == 3


def test_browser_that_keeps_nothing_says_so_and_asks_before_it_closes(label):
    page = label(script=NO_STORAGE)
    assert "This browser keeps nothing" in page.inner_text(".notice")
    press(page, "1", "Enter")
    assert page.inner_text("#kept") == "not kept"
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    with page.expect_download() as download:
        page.click("[data-command=export]")
    assert download.value.suggested_filename == "labels.csv"
    assert Path(download.value.path()).read_bytes().decode() == page.evaluate(TEXT)
    with page.expect_event("close"):  # nothing is lost now
        page.close(run_before_unload=True)


def test_browser_that_keeps_nothing_knows_who_comes_back(label):
    page = label(script=NO_STORAGE)
    press(page, "1", "Enter", "x", "z")
    for name, found in (("bo", {}), ("ada", {"p0": "100"})):
        page.evaluate("(name) => Labelling.app.open(name)", name)
        assert labels(page) == found


def test_answers_belong_to_a_set_and_an_annotator(label, tmp_path):
    page = label()
    press(page, "1", "Enter")
    kept(page)
    page.click("[data-command=annotator]")
    page.locator("dialog input").fill("bo")
    page.locator("dialog button.primary").click()
    until(page, "Labelling.app.ready && Labelling.app.session.annotator === 'bo'")
    assert labels(page) == {} and at(page) == "p0"
    press(page, "2", "Enter")
    kept(page)
    assert table(page)[1][4] == "bo"
    other = opened(
        page.context, write_label_folder(tmp_path / "other", label_content(set="fedcba9876543210")), annotator=None
    )
    assert labels(other) == {}
    page.evaluate("Labelling.app.open('ada')")
    until(page, "Labelling.app.ready && Labelling.app.session.annotator === 'ada'")
    assert labels(page) == {"p0": "100"}


def test_second_window_only_looks_until_it_goes_on(label, tmp_path):
    first = label()
    press(first, "1", "Enter")
    kept(first)
    second = opened(first.context, (tmp_path / "label.html").as_uri(), annotator=None)
    assert "Another window works on these patches" in second.inner_text(".notice")
    press(second, "2", "Enter", "x", "0", "z")
    second.evaluate(TAKE, "image,cannot_tell,tumour,stroma,lymph\npatches/p5.png,0,1,1,1\n")
    assert labels(second) == {"p0": "100"}
    press(first, "3", "Enter")
    kept(first)
    second.get_by_text("go on here").click()
    until(second, "!Labelling.app.readOnly")
    assert labels(second) == {"p0": "100", "p1": "001"} and at(second) == "p2"
    first.get_by_text("go on here").wait_for()
    press(first, "1", "Enter")
    assert labels(first) == {"p0": "100", "p1": "001"}
    press(second, "2", "Enter")
    kept(second)
    second.close()
    first.reload()  # nobody works on it now
    ready(first)
    assert first.locator(".notice").count() == 0
    assert labels(first) == {"p0": "100", "p1": "001", "p2": "010"}


def test_answers_are_written_to_the_disk_before_they_are_said_to_be_kept(label):
    """What a power cut would leave: a transaction of strict durability is complete once the disk has it."""
    script = """
      window.asked = [];
      const { transaction } = IDBDatabase.prototype;
      IDBDatabase.prototype.transaction = function (stores, mode, options) {
        if (mode === "readwrite") asked.push(options?.durability);
        return transaction.call(this, stores, mode, options);
      };
    """
    page = label(script=script)
    page.evaluate("asked.length = 0")
    press(page, "1", "Enter")
    kept(page)
    assert page.evaluate("asked.length > 0 && asked.every((durability) => durability === 'strict')")


def test_a_folder_that_is_moved_between_sessions_has_its_answers(restarted, tmp_path):
    start, kill = restarted
    page = opened(start(), write_label_folder(tmp_path / "here", label_content(4)))
    press(page, "1", "Enter", "2", "Enter")
    kept(page)
    kill()
    (tmp_path / "here").rename(tmp_path / "moved, elsewhere")
    page = opened(start(), (tmp_path / "moved, elsewhere" / "label.html").as_uri(), annotator=None)
    assert labels(page) == {"p0": "100", "p1": "010"} and at(page) == "p2"
