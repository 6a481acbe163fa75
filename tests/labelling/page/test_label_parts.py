"""Parts of the page that are plain functions: time, table, order, agreement, keys."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_browser import label_content, write_label_folder

_NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n"), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page's functions; nobody works on it."""
    page = browser.new_page()
    page.goto(write_label_folder(tmp_path_factory.mktemp("parts"), label_content()))
    page.wait_for_selector("dialog")
    yield page
    page.close()


@pytest.mark.parametrize(
    "moments, seconds",
    [
        ([["event", 0], ["event", 7000]], 7),
        ([["event", 0], ["event", 100_000]], 30),  # a pause counts half a minute at most
        ([["event", 0], ["event", 29_000], ["event", 58_000]], 58),  # two that are shorter count whole
        ([["event", 0], ["hidden", 4000], ["visible", 20_000], ["event", 21_000]], 5),
        ([["event", 0], ["hidden", 4000], ["event", 9000], ["visible", 20_000], ["event", 21_500]], 5.5),
        ([["event", 5000]], 0),
        ([["event", 5000], ["event", 4000]], 0),  # a clock that is set back
    ],
)
def test_seconds_of_work(page, moments, seconds):
    assert page.evaluate("(m) => Labelling.times.activeSeconds(m)", moments) == pytest.approx(seconds)


@pytest.mark.parametrize("values, median", [([], None), ([3], 3), ([10, 2, 9], 9), ([4, 1, 3, 100], 3.5)])
def test_median(page, values, median):
    assert page.evaluate("(v) => Labelling.times.median(v)", values) == median


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_NAMES, min_size=3, max_size=3, unique=True).filter(
        lambda names: not {"image", "group", "seconds", "again", "annotator"} & {*names}
    ),
    st.lists(_NAMES, min_size=4, max_size=4, unique=True),
    _NAMES,
    st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3) | st.none(), min_size=8, max_size=8),
)
def test_table_read_is_what_was_written(page, classes, images, annotator, marks):
    """Whatever the names: quotes, commas, spaces at the ends, signs of other scripts, a byte order mark."""
    content = label_content(4, classes)
    for patch, image in zip(content["patches"], images, strict=True):
        patch["image"] = image
    answers = [
        [
            image,
            {
                "labels": marks[k],
                "seconds": 1.25 * k,
                "annotator": annotator,
                "again": {"labels": marks[k + 4], "seconds": None} if k % 2 else None,
            },
        ]
        for k, image in enumerate(images)
    ]
    read = page.evaluate(
        """([content, answers]) => [...Labelling.table.read(content, Labelling.table.write(content, new Map(answers))).found]""",
        [content, answers],
    )
    assert read == answers


def test_table_as_written(page):
    content = label_content(3, ("a, b", 'say "c"'))
    content["patches"][2]["position"] = None
    answers = [
        ["patches/p2.png", {"labels": None, "seconds": 2.5, "annotator": "ada", "again": None}],
        [
            "patches/p0.png",
            {"labels": [1, 0], "seconds": None, "annotator": "bo, c", "again": {"labels": None, "seconds": 3}},
        ],
    ]
    text = page.evaluate("([c, a]) => Labelling.table.write(c, new Map(a))", [content, answers])
    assert text.split("\r\n") == [
        'image,group,position_y,position_x,seconds,annotator,cannot_tell,again,again_seconds,"a, b","say ""c"""',
        'patches/p0.png,slide 0,0,0,,"bo, c",0,?,3,1,0',
        "patches/p2.png,slide 0,,,2.5,ada,1,,,,",
        "",
    ]
    for patch in content["patches"]:
        patch["position"] = None
    assert "position" not in page.evaluate("(c) => Labelling.table.write(c, new Map())", content)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: "\ufeff" + text.replace(",", ";"),
        lambda text: text.replace(",", ";").replace("2.5", "2,5"),
        lambda text: text.replace("\r\n", "\n"),
        lambda text: text.replace("\r\n", "\r"),
        lambda text: text.replace("image", "Image").replace("cannot_tell", "CANNOT_TELL").replace("group", " Group"),
        lambda text: text.replace("\r\npatches/p2", "\r\n,,,,,,,,,,\r\n\r\npatches/p2") + ",,,,,,,,,,\r\n",
        lambda text: text.replace("\r\n", ",,\r\n"),  # columns beyond the last
        lambda text: "\r\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\r\n")[:-1]),
    ],
    ids=["semicolons", "tabs", "mark", "decimal comma", "LF", "CR", "case", "empty rows", "empty columns", "quotes"],
)
@pytest.mark.parametrize("classes", [("tumour", "stroma"), ("tumour / a;b", "stroma")])
def test_table_saved_by_a_spreadsheet_is_read(page, change, classes):
    content = label_content(3, classes)
    answers = [
        ["patches/p0.png", {"labels": [1, 0], "seconds": 2.5, "annotator": "bo", "again": {"labels": [0, 1], "seconds": 3}}],
        ["patches/p2.png", {"labels": None, "seconds": None, "annotator": "ada", "again": None}],
    ]
    text = page.evaluate("([c, a]) => Labelling.table.write(c, new Map(a))", [content, answers])
    text = change(text)
    if ";" in text.split("image")[0] + text.split("group")[0]:
        text = text.replace("tumour / a;b", '"tumour / a;b"')  # as a spreadsheet would
    assert page.evaluate("([c, t]) => [...Labelling.table.read(c, t).found]", [content, text]) == answers


def test_quoted_names_with_every_delimiter(page):
    content = label_content(1, ("a, b", "c; d", "e"))
    for delimiter in ",;\t":
        rows = [["image", "cannot_tell", '"a, b"', '"c; d"', "e"], ["patches/p0.png", "0", "1", "0", "1"]]
        text = "\r\n".join(delimiter.join(row) for row in rows)
        found = page.evaluate("([c, t]) => [...Labelling.table.read(c, t).found.values()]", [content, text])
        assert [answer["labels"] for answer in found] == [[1, 0, 1]]


HEAD = "image,cannot_tell,again,seconds,tumour,stroma,lymph"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "it is empty"),
        (HEAD, "it holds no answers"),
        (
            "image,cannot_tell,tumour,stroma\np,0,1,0",
            "line 1: the column lymph is missing; found are image, cannot_tell, tumour, stroma",
        ),
        (HEAD + ",other\np,0,,,1,0,0,1", "line 1: the column other is none of this page"),
        (HEAD + ",lymph\np,0,,,1,0,0,1", "line 1: the column lymph is there twice"),
        (HEAD + "\npatches/p0.png,0,,,1,0,2", 'line 2: lymph is "2", expected 0 or 1'),
        (HEAD + "\n\r\npatches/p0.png,0,,,1,0,", 'line 3: lymph is "", expected 0 or 1'),
        (HEAD + "\npatches/p0.png,1,,,1,0,0", 'line 2: tumour is "1", expected nothing, as cannot_tell is 1'),
        (HEAD + "\npatches/p0.png,no,,,1,0,0", 'line 2: cannot_tell is "no", expected 0 or 1'),
        (HEAD + "\npatches/p0.png,0,1 0,,1,0,0", 'line 2: again is "1 0", expected 0 or 1 for each of 3 classes'),
        (HEAD + "\npatches/p0.png,0,,fast,1,0,0", 'line 2: seconds is "fast", expected seconds'),
        (HEAD + "\n,,,,,,\n,,,,,,", "it holds no answers"),
        (HEAD + "\npatches/p0.png,0,,,1,0,0,1", "line 2: 8 cells, expected 7 as in line 1"),
        (HEAD.replace("image", "Image,image"), "line 1: the column image is there twice"),
        (HEAD.replace("image,", "image,,"), "line 1: the column  is none of this page"),
        (HEAD + "\npatches/p0.png,0,,,1,0", "line 2: 6 cells, expected 7 as in line 1"),
        (HEAD + '\n"patches/p0.png,0,,,1,0,0', "line 2: a quote"),
        (HEAD + '\n"a\nb",0,,,1,0,0\npatches/p0.png,0,,,1,0,5', 'line 4: lymph is "5"'),
        (HEAD + "\npatches/p0.png,0,,,1,0,0\npatches/p0.png,0,,,1,0,0", "line 3: patches/p0.png is there a second time"),
        (HEAD + "\nx.png,0,,,1,0,0\ny.png,0,,,1,0,0", "none of its 2 images is among the 6 of this page"),
    ],
)
def test_table_that_cannot_be_read_is_refused(page, text, message):
    refused = page.evaluate(
        """([c, t]) => { try { Labelling.table.read(c, t); return "read" } catch (error) { return error.message } }""",
        [label_content(), text],
    )
    assert refused.startswith(f"labels.csv: {message}")
    assert refused.endswith("; nothing was changed")


def test_repeats_are_due_after_the_first_look(page):
    content = label_content(4, order=[0, 1, 0, 2, 3])
    found = page.evaluate(
        """(content) => {
          const { slots, nextOpen, given } = Labelling.order;
          const all = slots(content.order);
          const look = { labels: [1, 0, 0], seconds: 1 };
          const first = { ...look, again: null }, both = { ...look, again: look };
          const next = (answers, from) => nextOpen(content, all, new Map(Object.entries(answers)), from);
          return [all.map((s) => s.again), next({}, 1), next({ "patches/p0.png": first }, 1), next({ "patches/p0.png": both }, 1), next({}, 4),
            next(Object.fromEntries(content.patches.map((p) => [p.image, both])), 1)];
        }""",
        content,
    )
    assert found == [[False, False, True, False, False], 3, 2, 3, 0, -1]


def test_together_are_open_first_looks_of_one_look(page):
    content = label_content(30, order=[*range(20), 4, *range(20, 30)])
    found = page.evaluate(
        """(content) => {
          const { slots, together } = Labelling.order;
          const all = slots(content.order);
          const answers = new Map([["patches/p2.png", { labels: null, again: null }]]);
          return [together(content, all, answers, 0), together(content, all, answers, 29), together(content, all, answers, 20, new Set([21, 23]), 3)];
        }""",
        content,
    )
    assert found[0] == [0, 4, 6, 8, 10, 12, 14, 16, 18]  # even ones; 2 is answered
    assert found[1] == [29, 0, 4, 6, 8, 10, 12, 14, 16]  # place 29 is patch 28; around the end
    assert found[2][0] == 22 and len(found[2]) == 3  # from a repeat: the next open one that was not left out


def test_agreement_with_oneself_and_with_a_model(page):
    found = page.evaluate(
        """() => {
          const { withOneself, differs, counts } = Labelling.agreement;
          const answer = (labels, again) => ({ labels, seconds: 2, again: again === undefined ? null : { labels: again, seconds: 1 } });
          const answers = new Map([[1, answer([1, 0], [1, 1])], [2, answer([0, 0], [0, 0])], [3, answer(null, [1, 0])], [4, answer([1, 1], null)], [5, answer([1, 0])]]);
          return [withOneself(["a", "b"], answers), withOneself(["a"], new Map()), counts(["a", "b"], answers),
            [[[1, 0], [0.5, 0.49]], [[1, 0], [0.49, 0.1]], [[0, 0], [0.1, 0.6]], [null, [0.9, 0.9]], [[1, 1], null]].map(([l, o]) => differs(l, o))];
        }"""
    )
    assert found == [
        {"pairs": 2, "shares": [1, 0.5]},
        {"pairs": 0, "shares": [None]},
        {"perClass": [3, 1], "none": 1, "cannotTell": 1, "seconds": 14},
        [False, True, True, False, False],
    ]


@pytest.mark.parametrize(
    "event, meaning",
    [
        ({"key": "1", "code": "Digit1"}, {"classIndex": 0, "shift": False}),
        ({"key": "!", "code": "Digit1", "shiftKey": True}, {"classIndex": 0, "shift": True}),
        ({"key": "2", "code": "Numpad2"}, {"classIndex": 1, "shift": False}),
        ({"key": "&", "code": "Digit1"}, {"classIndex": 0, "shift": False}),  # a French keyboard
        ({"key": "X", "code": "KeyX"}, {"command": "cannot"}),
        ({"key": "z", "code": "KeyZ", "ctrlKey": True}, {"command": "undo"}),
        ({"key": "c", "code": "KeyC", "ctrlKey": True}, None),  # copy
        ({"key": "Enter", "code": "Enter", "repeat": True}, None),
        ({"key": "ArrowRight", "code": "ArrowRight", "repeat": True}, {"command": "forward"}),
        ({"key": "9", "code": "Digit9"}, None),
        ({"key": "ч", "code": "KeyX"}, {"command": "cannot"}),  # a Russian keyboard
        ({"key": "Я", "code": "KeyZ", "ctrlKey": True}, {"command": "undo"}),
        ({"key": "ν", "code": "KeyN"}, {"command": "next"}),  # a Greek one
        ({"key": "z", "code": "KeyY"}, {"command": "undo"}),  # a German one: by the letter
        ({"key": "y", "code": "KeyZ"}, None),
        ({"key": "?", "code": "KeyM"}, {"command": "help"}),
        ({"key": "й", "code": ""}, None),
    ],
)
def test_meaning_of_keys(page, event, meaning):
    assert page.evaluate("([e, c]) => Labelling.keys.meaning(e, c)", [event, label_content()["classes"]]) == meaning


@pytest.mark.parametrize(
    "widest, scale, mpp, bar",
    [
        (180, 1, 0.5, [100, "50 µm"]),
        (180, 2, 0.5, [80, "20 µm"]),
        (180, 0.05, 0.5, [100, "1 mm"]),
        (180, 2, None, [100, "50 px"]),
        (100, 1, None, [100, "100 px"]),
    ],
)
def test_scale_bar_has_a_round_length(page, widest, scale, mpp, bar):
    found = page.evaluate("([w, s, m]) => Object.values(Labelling.pictures.scaleBar(w, s, m))", [widest, scale, mpp])
    assert found == [pytest.approx(bar[0]), bar[1]]
