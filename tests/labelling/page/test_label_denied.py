"""What a browser denies ends no work: locks, room for a setting, an answer that waits while another window works."""

from __future__ import annotations

from label_browser import at, kept, label_content, labels, opened, press, ready, until

NO_LOCKS = "navigator.locks.request = async () => { throw new DOMException('denied', 'SecurityError'); };"
FULL = """
const put = IDBObjectStore.prototype.put;
window.full = (name) => false;
IDBObjectStore.prototype.put = function (value, key) {
  if (window.full(key)) throw new DOMException("the disk is full", "QuotaExceededError");
  return put.call(this, value, key);
};
"""


def test_where_locks_are_denied_the_page_works_without(label):
    page = label(script=NO_LOCKS)
    press(page, "1", "Enter")
    kept(page)
    assert labels(page) == {"p0": "100"} and page.locator(".notice").count() == 0


def test_name_that_cannot_be_kept_is_asked_for_again_next_time(label):
    page = label(script=FULL + "window.full = (key) => key === 'annotator';")
    press(page, "1", "Enter")
    kept(page)
    assert labels(page) == {"p0": "100"}


def test_answer_that_waits_is_kept_when_the_window_goes_on(label, tmp_path):
    page = label(script=FULL)
    page.evaluate("() => { window.full = Array.isArray; }")
    press(page, "1", "Enter")
    page.wait_for_selector("#kept[data-state=not]")
    other = opened(page.context, (tmp_path / "label.html").as_uri(), None)
    other.click("[data-notice=window] button")
    page.wait_for_selector("[data-notice=window]")
    page.evaluate("() => { window.full = () => false; }")
    page.click("[data-notice=window] button")
    ready(page)
    kept(page)
    assert page.evaluate("Labelling.app.unkept.size") == 0 and page.locator("[data-notice=unkept]").count() == 0
    page.reload()
    ready(page)
    assert labels(page) == {"p0": "100"}


def test_arrows_scroll_a_command_and_leave_the_summary_alone(label):
    page = label(label_content(1, next=["long " * 200, "b"]), viewport={"width": 800, "height": 600})
    press(page, "1", "Enter")
    page.locator("#summary pre").first.focus()
    press(page, "ArrowRight")
    until(page, "document.querySelector('#summary pre').scrollLeft > 0")
    assert page.evaluate("document.body.dataset.mode") == "summary" and at(page) == "p0"
