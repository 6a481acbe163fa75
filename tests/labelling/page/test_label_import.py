"""Import of labels.csv: the identity on the own export, all or nothing, what differs asked about once."""

from __future__ import annotations

import pytest
from label_browser import at, kept, label_content, labels, press, ready, until

TAKE = "(csv) => Labelling.transfer.take(Labelling.app, csv)"
TEXT = "Labelling.transfer.text(Labelling.app)"


def test_import_of_the_own_export_is_the_identity(label):
    page = label(label_content(5, order=[0, 1, 2, 0, 3, 4]))
    press(page, "1", "Enter", "x", "2", "3", "Enter", "1", "2", "Enter")
    kept(page)
    before = page.evaluate(TEXT)
    page.evaluate(TAKE, before)
    assert page.evaluate(TEXT) == before
    assert page.inner_text(".notice span") == "labels.csv: 0 answers taken, 3 as here, 0 differ."
    page.evaluate("Labelling.app.open('bo')")  # and so it is where nothing was answered
    until(
        page, "Labelling.app.ready && Labelling.app.session.annotator === 'bo' && Labelling.app.session.answers.size === 0"
    )
    page.evaluate(TAKE, before)
    assert page.evaluate(TEXT) == before  # with the name of who answered
    kept(page)
    page.reload()
    ready(page)
    page.evaluate("Labelling.app.open('bo')")
    until(page, "Labelling.app.ready && Labelling.app.session.annotator === 'bo'")
    assert page.evaluate(TEXT) == before


@pytest.mark.parametrize(
    "choice, result",
    [
        ("keep mine", {"p0": "100", "p1": "010", "p2": "111"}),
        ("take theirs", {"p0": "001", "p1": "?", "p2": "111"}),
        ("cancel", {"p0": "100", "p1": "010"}),
    ],
)
def test_conflict_is_asked_about_once(label, tmp_path, choice, result):
    page = label()
    press(page, "1", "Enter", "2", "Enter")
    file = tmp_path / "theirs.csv"
    file.write_text(
        "image,cannot_tell,tumour,stroma,lymph\npatches/p0.png,0,0,0,1\npatches/p1.png,1,,,\npatches/p2.png,0,1,1,1\nelse.png,0,0,0,0\n"
    )
    with page.expect_file_chooser() as chooser:
        page.click("[data-command=import]")
    chooser.value.set_files(file)
    page.get_by_text("2 patches are answered otherwise in the file than here.").wait_for()
    page.get_by_role("button", name=choice).click()
    until(page, "!document.querySelector('dialog')")
    if choice == "cancel":
        assert page.inner_text("#said") == "theirs.csv: nothing was changed"
    else:
        page.get_by_text("1 row is of images that are not on this page").wait_for()
        kept(page)
    assert labels(page) == result
    if choice == "take theirs":
        press(page, "z")  # an import is one step
        assert labels(page) == {"p0": "100", "p1": "010"}


def test_import_is_all_or_nothing(label):
    page = label()
    press(page, "1", "Enter")
    head = "image,cannot_tell,tumour,stroma,lymph\n"
    page.evaluate(TAKE, head + "patches/p1.png,0,1,0,0\npatches/p2.png,0,1,0,yes\n")
    assert page.inner_text(".notice span") == 'labels.csv: line 3: lymph is "yes", expected 0 or 1; nothing was changed'
    page.evaluate(TAKE, head + "".join(f"a{k}.png,0,1,0,0\n" for k in range(40)))
    assert page.inner_text(".notice span").startswith("labels.csv: none of its 40 images is among the 6 of this page;")
    assert labels(page) == {"p0": "100"}


TALK = "image,who,says,other,says otherwise\n"


def test_patches_to_talk_about_are_gone_through(label):
    page = label(label_content(6, order=[0, 1, 4, 0, 1, 2, 3, 5]))
    for _ in range(8):
        press(page, "1", "Enter")
    talk = TALK + (
        'patches/p4.png,anna,"tumour, stroma",ben,lymph\npatches/p1.png,anna,tumour,ben,none of these\n'
        'patches/p4.png,anna,"tumour, stroma",cem,stroma\nelse.png,anna,tumour,ben,lymph\n'
    )
    page.evaluate(TAKE, talk)
    assert page.inner_text(".notice span") == "labels.csv: going through 2 patches to talk about; 1 is not on this page."
    assert at(page) == "p4"
    assert page.inner_text("#talk") == "anna: tumour, stroma | ben: lymph | cem: stroma"
    press(page, "ArrowLeft")
    assert at(page) == "p4"
    press(page, "2", "Enter")
    assert at(page) == "p1" and page.evaluate("Labelling.app.session.at") == 1  # the first look
    assert page.inner_text("#talk") == "anna: tumour | ben: none of these"
    press(page, "Enter")  # stands as it is
    assert page.locator("#summary h2").is_visible() and page.locator("#talk").is_hidden()
    assert labels(page) == {f"p{k}": "110" if k == 4 else "100" for k in range(6)}
    press(page, "ArrowLeft")
    assert page.locator("#talk").is_hidden()


@pytest.mark.parametrize(
    "rows, message",
    [
        ("", "labels.csv: it names no patches to talk about"),
        ("a.png,x,y,z,w\nb.png,x,y,z,w\n", "labels.csv: none of its 2 images is among the 6 of this page;"),
    ],
)
def test_patches_to_talk_about_of_another_page_are_refused(label, rows, message):
    page = label()
    press(page, "ArrowRight")
    page.evaluate(TAKE, TALK + rows)
    assert page.inner_text(".notice span").startswith(message)
    assert at(page) == "p1" and page.evaluate("Labelling.app.session.walk") is None


def test_file_that_is_dropped_is_imported(label):
    page = label()
    page.evaluate("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["image,cannot_tell,tumour,stroma,lymph\\npatches/p4.png,0,0,1,0\\n"], "dropped.csv"));
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }""")
    page.get_by_text("dropped.csv: 1 answers taken").wait_for()
    assert labels(page) == {"p4": "010"}
