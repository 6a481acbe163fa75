"""Pages to label patches on, driven in a real browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Page
from scripts.labelling.label_page import write_label_page

ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
TIMED = "window.now = 0; performance.now = () => window.now;"  # a script: time passes by `wait` alone
KEYS = "123456789qwertyuiop"


def label_content(count: int = 6, classes: Sequence[str] = ("tumour", "stroma", "lymph"), **changes: Any) -> dict[str, Any]:
    """Content of a page of ``count`` patches, 32 px, without repeats, context or opinions."""
    return {
        "format": 1, "set": "0123456789abcdef", "name": "my_slides",
        "classes": [{"name": n, "description": f"all {n}", "colour": [60 + 20 * k, 90, 160], "key": KEYS[k]} for k, n in enumerate(classes)],
        "patch_size": [32, 32], "mpp": 0.5,
        "patches": [{"image": f"patches/p{k}.png", "context": None, "box": None, "group": f"slide {k % 2}", "position": [0, 32 * k],
                     "look": k % 2, "opinion": None} for k in range(count)],
        "order": list(range(count)), **changes,
    }  # fmt: skip


def write_label_folder(folder: Path, content: Mapping[str, Any], missing: Sequence[int] = ()) -> str:
    """Write page and pictures, but for those ``missing``; the page's address."""
    (folder / "patches").mkdir(parents=True, exist_ok=True)
    for k, patch in enumerate(content["patches"]):
        if k not in missing:
            Image.fromarray(np.full((32, 32, 3), (37 * k) % 200 + 30, np.uint8)).save(folder / patch["image"])
    return write_label_page(folder / "label.html", content).as_uri()


def opened(context: BrowserContext, address: str, annotator: str | None = "ada") -> Page:
    """The page, once it is ready to be worked on; ``annotator`` is given where one is asked for, ``None``: nobody is."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(address)
    if annotator is not None:
        page.locator("dialog input").fill(annotator)
        page.locator("dialog button.primary").click()
    ready(page)
    return page


def ready(page: Page) -> None:
    page.wait_for_selector("body[data-ready=yes]")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait(page: Page, seconds: float) -> None:
    """Let time pass on a page with the script ``TIMED``."""
    page.evaluate("(s) => { window.now += 1000 * s; }", seconds)


def kept(page: Page) -> None:
    """Wait until all answers are said to be kept."""
    page.wait_for_selector("#kept[data-state=kept]")


def table(page: Page) -> list[list[str]]:
    """Rows of the labels.csv that an export would give, without their times."""
    rows = page.evaluate("Labelling.table.parse(Labelling.transfer.text(Labelling.app)).map((r) => r.cells)")
    timed = [k for k, name in enumerate(rows[0]) if name in ("seconds", "again_seconds")]
    return [[c for k, c in enumerate(row) if k not in timed] for row in rows]


def labels(page: Page) -> dict[str, str]:
    """Number of each answered patch to its marks, ``?`` for cannot tell."""
    at = len(page.evaluate("Labelling.app.content.classes"))
    return {Path(row[0]).stem: "".join(row[-at:]) or "?" for row in table(page)[1:]}


def at(page: Page) -> str:
    """Name of the patch that is shown."""
    return page.evaluate("Labelling.app.session.patchAt().image.split('/').pop().split('.')[0]")


def until(page: Page, expression: str) -> None:
    """Wait until something is true. (Playwright's own wait evaluates text in the page, which the page refuses.)"""
    for _ in range(500):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {expression}")


def kill_browser(profile: Path) -> None:
    """Kill the browser that works on a profile as a power cut would: it is told nothing."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"--user-data-dir={profile}".encode() in (process / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:  # it has ended
            continue
