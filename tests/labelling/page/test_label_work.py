"""Labelling by key: what is pressed is what is kept, shown and exported."""

from __future__ import annotations

from label_browser import TIMED, at, kept, label_content, labels, press, table, until, wait


def _opinions(content):
    for k, patch in enumerate(content["patches"]):
        patch["opinion"] = [0.9, 0.2, 0.1] if k % 2 else [0.1, 0.2, 0.8]
    return content


def test_keys_give_the_table(label):
    page = label()
    press(page, "1", "3", "Enter")  # two classes
    press(page, "2", "2", "3", " ")  # one taken back; Space keeps too
    press(page, "0", "x")
    kept(page)
    assert table(page) == [
        ["image", "group", "position_y", "position_x", "annotator", "cannot_tell", "again", "tumour", "stroma", "lymph"],
        ["patches/p0.png", "slide 0", "0", "0", "ada", "0", "", "1", "0", "1"],
        ["patches/p1.png", "slide 1", "0", "32", "ada", "0", "", "0", "0", "1"],
        ["patches/p2.png", "slide 0", "0", "64", "ada", "0", "", "0", "0", "0"],
        ["patches/p3.png", "slide 1", "0", "96", "ada", "1", "", "", "", ""],
    ]
    assert at(page) == "p4"
    assert page.inner_text("#figures").startswith("4 / 6")
    assert page.locator("#strip .answered").count() == 4


def test_enter_without_a_class_is_no_answer(label):
    page = label()
    press(page, "Enter")
    assert labels(page) == {} and at(page) == "p0"
    assert page.inner_text("#said") == "no class is chosen; 0: none of these"


def test_buttons_do_what_keys_do(label):
    page = label()
    page.locator(".class").nth(1).click()
    assert page.get_attribute(".class >> nth=1", "aria-pressed") == "true"
    press(page, "Enter")  # the button that was clicked is not pressed again
    for command in ("none", "cannot", "undo", "undo"):
        page.click(f"[data-command={command}]")
    assert labels(page) == {"p0": "010"}
    page.locator(".class").nth(2).focus()  # but one that was reached by key is
    press(page, " ")
    assert page.get_attribute(".class >> nth=2", "aria-pressed") == "true"
    assert labels(page) == {"p0": "010"}


def test_one_key_answers_and_is_remembered(label):
    page = label()
    press(page, "a", "2", "Shift+1", "Shift+3", "Enter", "3")
    assert labels(page) == {"p0": "010", "p1": "101", "p2": "001"}
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    press(page, "1")
    assert labels(page)["p3"] == "100"


def test_undo_restores_what_was_before(label):
    page = label()
    press(page, "1", "Enter", "2", "Enter")
    press(page, "ArrowLeft", "ArrowLeft")
    assert at(page) == "p0"
    press(page, "3", "Enter")  # changed: tumour and lymph
    assert labels(page) == {"p0": "101", "p1": "010"} and at(page) == "p2"
    press(page, "z")
    assert labels(page) == {"p0": "100", "p1": "010"} and at(page) == "p0"
    assert [page.get_attribute(f".class >> nth={k}", "aria-pressed") for k in range(3)] == ["true", "false", "false"]
    press(page, "Control+z", "z", "z")
    assert labels(page) == {} and at(page) == "p0"
    assert page.inner_text("#said") == "there is nothing to take back"
    kept(page)
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    assert labels(page) == {}


def test_back_forward_and_next_open_answer_nothing(label):
    page = label()
    press(page, "1", "Enter", "1", "Enter", "ArrowRight", "1")
    assert at(page) == "p3"
    press(page, "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert at(page) == "p0" and page.inner_text("#said") == "this is the first"
    press(page, "n")
    assert at(page) == "p2"
    press(page, "n")
    assert at(page) == "p3"
    assert labels(page) == {"p0": "100", "p1": "100"}
    assert _pressed(page) == [True, False, False]  # what was chosen and left is still chosen


def _pressed(page):
    return [page.get_attribute(f".class >> nth={k}", "aria-pressed") == "true" for k in range(3)]


def test_choice_that_is_left_stays_until_it_is_answered(label):
    page = label()
    press(page, "1", "3", "ArrowRight", "2", "Enter")
    assert labels(page) == {"p1": "010"} and at(page) == "p2"
    press(page, "ArrowLeft", "ArrowLeft")
    assert at(page) == "p0" and _pressed(page) == [True, False, True]
    press(page, "0", "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert labels(page) == {"p0": "000", "p1": "010"}
    assert at(page) == "p0" and _pressed(page) == [False] * 3  # another answer ends it
    press(page, "1", "ArrowRight")
    page.evaluate("Labelling.transfer.take(Labelling.app, 'image,cannot_tell,tumour,stroma,lymph\\npatches/p3.png,0,0,0,1')")
    press(page, "z", "z")  # the import, and the answer to p0
    assert labels(page) == {"p1": "010"}
    assert at(page) == "p0" and _pressed(page) == [False] * 3


def test_seconds_add_up_over_two_answers_to_a_patch(label):
    page = label()
    added = page.evaluate("""() => {
      const { session } = Labelling.app;
      session.answer([0], [1, 0, 0], 2);
      session.answer([0], [0, 1, 0], 3.5);
      return session.answers.get("patches/p0.png");
    }""")
    assert added == {"labels": [0, 1, 0], "seconds": 5.5, "annotator": "ada", "again": None}


def test_repeat_is_unannounced_and_exported(label):
    page = label(label_content(4, order=[0, 1, 0, 2, 1, 3]))
    press(page, "1", "Enter", "2", "Enter")
    assert at(page) == "p0"
    assert page.locator(".class[aria-pressed=true]").count() == 0  # not what was said before
    assert page.get_attribute("#strip [aria-current]", "aria-label") == "patch 3, open"
    press(page, "1", "3", "Enter", "3", "Enter", "x", "0")
    assert {row[0]: row[6] for row in table(page)[1:]} == {
        f"patches/p{k}.png": again for k, again in enumerate(("1 0 1", "?", "", ""))
    }
    assert labels(page) == {"p0": "100", "p1": "010", "p2": "001", "p3": "000"}
    summary = page.inner_text("#summary")
    assert "Shown twice and told both times: 1." in summary
    assert "Save labels.csv beside label.html, in the folder of this round." in summary
    rows = [line.split("\t") for line in summary.splitlines() if "\t" in line]
    assert rows[1:4] == [["tumour", "1", "100 %"], ["stroma", "1", "100 %"], ["lymph", "1", "0 %"]]
    press(page, "z", "z")
    assert table(page)[2][6] == "" and at(page) == "p1"  # the second look alone is taken back


def test_nine_at_once(label):
    content = label_content(24, order=[*range(12), 0, *range(12, 24)])
    page = label(content, script=TIMED)
    press(page, "1", "Enter", "g")  # p0 is answered: p1, with the odd ones
    assert page.locator(".tile").count() == 9
    assert page.evaluate("Labelling.app.nine.slots.map((s) => Labelling.app.session.patchAt(s).image)") == [
        f"patches/p{k}.png" for k in range(1, 18, 2)
    ]
    press(page, "2", "ArrowRight", " ", "ArrowDown", " ")  # p3, p9 are left out
    wait(page, 14)
    page.locator(".tile").nth(8).click()
    page.locator(".tile").nth(8).click()  # and taken again
    press(page, "Enter")
    kept(page)
    taken = {f"p{k}" for k in range(1, 18, 2)} - {"p3", "p9"}
    assert labels(page) == {"p0": "100"} | dict.fromkeys(taken, "010")
    assert page.evaluate("Labelling.app.session.answers.get('patches/p1.png').seconds") == 2
    assert page.inner_text("#said") == "kept: stroma for 7 patches"
    assert page.evaluate("document.body.dataset.mode") == "nine"
    press(page, "z")  # all of them
    assert labels(page) == {"p0": "100"} and at(page) == "p1"


def test_space_leaves_out_in_nine_after_a_click_too(label):
    page = label()
    press(page, "g")
    page.locator(".tile").nth(1).click()
    page.locator(".class").first.click()
    press(page, " ")  # the one that was clicked is taken again
    assert page.locator(".tile[aria-pressed=true]").count() == 3
    press(page, " ", "Enter")
    assert labels(page) == {"p0": "100", "p4": "100"}


def test_repeats_never_come_in_nine(label):
    page = label(label_content(6, order=[0, 1, 2, 0, 3, 2, 4, 5]))
    press(page, "1", "Enter")
    seen = []
    press(page, "g")
    while page.evaluate("document.body.dataset.mode") == "nine":
        seen += page.evaluate("Labelling.app.nine.slots")
        press(page, "2", "Enter")
    assert sorted(seen) == [1, 2, 4, 6, 7]
    assert at(page) in ("p0", "p2") and page.evaluate("document.body.dataset.mode") == "one"
    assert [row[6] for row in table(page)[1:]] == [""] * 6


def test_next_commands_stand_at_the_end_and_are_copied(label):
    commands = ["train --source '/a \"b\" <i>'", "suggest"]
    page = label(
        label_content(1, next=commands), script="navigator.clipboard.writeText = async (text) => { window.got = text; };"
    )
    press(page, "1", "Enter")
    assert page.locator("#summary pre").all_inner_texts() == commands
    page.get_by_text("copy", exact=True).first.click()
    until(page, "window.got !== undefined")
    assert page.evaluate("window.got") == commands[0] and page.locator("#summary button", has_text="copied").count() == 1
    page.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error('no'); }; }")
    page.get_by_text("copy", exact=True).click()
    page.get_by_text("press Ctrl+C").wait_for()
    assert page.evaluate("String(getSelection())") == commands[1]
    press(page, "Control+c", "x")  # the keys of the patches answer nothing here
    assert labels(page) == {"p0": "100"}


def test_opinion_is_shown_after_the_answer_only(label):
    page = label(_opinions(label_content()))
    press(page, "m")
    assert page.inner_text("#said") == "the model's opinion is shown once you have answered"
    assert page.locator(".opinion:visible").count() == 0
    press(page, "1", "Enter", "ArrowLeft", "m")
    assert page.locator(".opinion").all_inner_texts() == ["10 %", "20 %", "80 %"]
    one_line = page.evaluate("document.querySelector('.opinion').clientHeight")
    page.evaluate("Labelling.app.view.opinion(document.querySelector('.opinion'), 1)")
    assert page.inner_text(".opinion >> nth=0") == "100 %"
    assert page.evaluate("document.querySelector('.opinion').clientHeight") == one_line
    press(page, "ArrowRight")
    assert page.locator(".opinion:visible").count() == 0


def test_review_walks_through_what_differs_from_the_model(label):
    page = label(_opinions(label_content(5)))
    for k in range(5):
        press(page, "1" if k in (1, 2) else "3", "Enter")  # the model: p1, p3 tumour, the others lymph
    page.get_by_text("review 2 that differ").click()
    assert at(page) == "p2" and page.locator(".opinion:visible").count() == 3
    press(page, "ArrowLeft")
    assert at(page) == "p2"
    press(page, "1", "3", "Enter")
    assert at(page) == "p3"
    press(page, "Enter")  # stands as it is
    assert "review 1 that differ" in page.inner_text("#summary")
    assert labels(page) == {"p0": "001", "p1": "100", "p2": "001", "p3": "001", "p4": "001"}


def test_without_opinions_and_context_their_buttons_are_not_there(label):
    page = label()
    assert page.locator("[data-command=opinion], [data-command=context]").count() == 0
    press(page, "m", "c")
    assert page.inner_text("#said") == ""


def test_help_names_every_key_and_leaves_the_keys_alone(label):
    page = label()
    press(page, "h")
    shown = page.locator("dialog kbd").all_inner_texts()
    assert shown == ["1 2 3", "Enter", "z", "0", "x", "←", "→", "n", "g", "a", "-", "+", "h"]
    press(page, "x", "Escape")
    page.wait_for_selector("dialog", state="detached")
    assert labels(page) == {}
    press(page, "?")
    assert page.locator("dialog").count() == 1
