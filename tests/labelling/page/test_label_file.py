"""The file that answers are saved to: what it holds is taken in, what is not of this page is left, the last state wins."""

from __future__ import annotations

import pytest
from label_browser import kept, labels, press, until

# a file that is chosen, in place of the browser's own windows that ask for it; `held` is what it holds
CHOSEN = """
window.written = [];
window.held = "";
window.chosen = { name: "mine.csv", getFile: async () => new File([held], "mine.csv"), async createWritable() {
  if (window.full) throw new Error("the disk is full");
  let text;
  return { write: async (t) => { text = t; }, close: async () => {
    await new Promise((go) => setTimeout(go, 20));
    written.push(text);
    held = text;
  } };
} };
window.showSaveFilePicker = async () => { held = ""; return chosen; };
window.showOpenFilePicker = async () => [chosen];
"""
HEAD = "image,cannot_tell,tumour,stroma,lymph\r\n"
TEXT = "Labelling.transfer.text(Labelling.app)"


def _save_to(page, which: str) -> None:
    page.click("[data-command=file]")
    page.get_by_role("button", name=which, exact=True).click()


@pytest.mark.parametrize(
    "choice, result",
    [
        ("keep mine", {"p0": "100", "p1": "010", "p2": "111"}),
        ("take theirs", {"p0": "001", "p1": "010", "p2": "111"}),
        ("cancel", {"p0": "100", "p1": "010"}),
    ],
)
def test_file_that_is_there_is_taken_in_before_it_is_written(label, choice, result):
    page = label(script=CHOSEN)
    press(page, "1", "Enter", "2", "Enter")
    held = HEAD + "patches/p0.png,0,0,0,1\r\npatches/p2.png,0,1,1,1\r\n"
    page.evaluate("(text) => { held = text; }", held)
    _save_to(page, "a file that is there")
    page.get_by_text("1 patch is answered otherwise in the file than here.").wait_for()
    assert page.evaluate("held") == held
    page.get_by_role("button", name=choice).click()
    if choice == "cancel":
        until(page, "!document.querySelector('dialog')")
        assert page.get_attribute("[data-command=file]", "aria-pressed") == "false"
        press(page, "3", "Enter")
        kept(page)
        assert page.evaluate("[held, written.length]") == [held, 0]
        result = {**result, "p2": "001"}
    else:
        until(page, f"written.at(-1) === {TEXT}")
    assert labels(page) == result


@pytest.mark.parametrize(
    "held, message",
    [
        (
            HEAD + "else.png,0,1,0,0\r\n",
            "mine.csv: 1 of its 1 images is not on this page, and would be lost if it was saved to",
        ),
        (
            HEAD + "patches/p0.png,0,1,0,0\r\ne.png,0,1,0,0\r\nf.png,0,1,0,0\r\n",
            "mine.csv: 2 of its 3 images are not on this page",
        ),
        ("image,cannot_tell,gland\r\n", "mine.csv: line 1: the column gland is none of this page"),
        ("minutes of the meeting", "mine.csv: line 1: the column minutes of the meeting is none of this page"),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_file_of_something_else_is_left_as_it_is(label, held, message, again):
    page = label(script=CHOSEN)
    press(page, "1", "Enter")
    page.evaluate("(text) => { held = text; }", held)
    _use_again(page, "granted") if again else _save_to(page, "a file that is there")
    page.wait_for_selector(".notice")
    assert page.inner_text(".notice span").startswith(message)
    press(page, "2", "Enter")
    kept(page)
    assert page.evaluate("[held, written.length]") == [held, 0]
    assert page.get_attribute("[data-command=file]", "aria-pressed") == "false"
    assert labels(page) == {"p0": "100", "p1": "010"}


def test_file_that_holds_no_answers_yet_is_gone_on_with(label):
    page = label(script=CHOSEN)
    _save_to(page, "a new file")
    until(page, f"written.at(-1) === {TEXT}")
    page.click("[data-command=file]")  # no longer
    assert page.inner_text("#filed") == ""
    _save_to(page, "a file that is there")
    until(page, "written.length === 2")
    assert page.locator(".notice").count() == 0


def test_file_that_cannot_be_read_is_not_written(label):
    page = label(script=CHOSEN + "chosen.getFile = async () => { throw new Error('it is gone'); };")
    _save_to(page, "a file that is there")
    page.get_by_text("mine.csv could not be read (it is gone), and is not written to.").wait_for()
    press(page, "2", "Enter")
    kept(page)
    assert page.evaluate("written.length") == 0


def test_file_is_rewritten_whole_and_the_last_state_wins(label):
    page = label(script=CHOSEN)
    press(page, "1", "Enter")
    _save_to(page, "a new file")
    until(page, "written.length === 1")
    for key in "23123":
        press(page, key, "Enter")
    until(page, f"written.at(-1) === {TEXT}")
    assert len(labels(page)) == 6
    assert page.inner_text("#filed") == "in mine.csv"
    page.evaluate("window.full = true")
    press(page, "z")
    page.get_by_text("mine.csv could not be written (the disk is full); the answers stay in the browser").wait_for()
    page.evaluate("window.full = false")
    press(page, "1", "Enter")
    until(page, f"written.at(-1) === {TEXT}")
    page.wait_for_selector(".notice", state="detached")


def _use_again(page, permission: str) -> None:
    """What the page does at its start, with the file of the last time."""
    page.evaluate(
        """async (permission) => {
          Object.assign(chosen, { queryPermission: async () => permission, requestPermission: async () => "granted" });
          const { store } = Labelling.app, get = store.get;
          store.get = async (name) => (name.includes("file") ? chosen : get(name));
          await Labelling.transfer.reuse(Labelling.app);
        }""",
        permission,
    )


@pytest.mark.parametrize("permission", ["granted", "prompt"])
def test_file_of_the_last_time_is_asked_for_again(label, permission):
    page = label(script=CHOSEN)
    press(page, "1", "Enter")
    page.evaluate("(text) => { held = text; }", HEAD + "patches/p3.png,0,0,0,1\r\n")
    _use_again(page, permission)
    if permission == "prompt":
        assert page.evaluate("written.length") == 0
        assert page.inner_text(".notice span") == "Answers went to the file mine.csv before."
        page.get_by_text("go on saving to it").click()
    until(page, f"written.at(-1) === {TEXT}")
    assert page.inner_text(".notice span") == "mine.csv: 1 answers taken, 0 as here, 0 differ."
    assert labels(page) == {"p0": "100", "p3": "001"}  # what came to the file meanwhile is not lost
