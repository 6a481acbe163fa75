"""The page to label patches on, with many patches: how soon it is ready, and how soon a key is answered.

    python benchmarks/label_page.py

The patches are one drawn patch of 224 px and the tissue around it, under as many names; half of them are answered when keys
are timed. All is measured in the browser, which has no window: ready is from the start of loading until the first patch is
shown, a key from its event to the frame after that in which next patch and new state are shown, kept from the event until
the browser's database has the answer on the disk. Keys are pressed at a pace, as by a person. "Saving" is the same while
labels.csv is written anew after each answer, into memory. The machine's mean load over a minute is recorded before and
after.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import print_table, record
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from scripts.demo.tissue import draw_tissue
from scripts.labelling.label_page import write_label_page

SIZE = 224
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
# times of each key that answers, from its event on
_WATCH = """() => {
  window.shown = []; window.kept = [];
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const { app } = Labelling, before = app.session.at, start = event.timeStamp;
    const look = () => {
      const { entry } = app.picture;
      if (app.session.at === before || entry.state === "loading" || !entry.image.isConnected) requestAnimationFrame(look);
      else requestAnimationFrame(() => shown.push(performance.now() - start));
    };
    requestAnimationFrame(look);
    setTimeout(() => app.keeping.then(() => kept.push(performance.now() - start)));
  }, true);
}"""
_ANSWER_HALF = """(count) => {
  const { app } = Labelling;
  const labels = (k) => app.content.classes.map((_, i) => Number(i === k % 4));
  const answer = (k) => ({ labels: labels(k), seconds: 2.5, annotator: "ada", again: null });
  return app.keep(app.session.change(app.content.patches.slice(0, count).map((patch, k) => [patch.image, answer(k)])));
}"""
_SAVE = """() => Labelling.app.file.use({ name: "labels.csv", async createWritable() {
  return { write: async (text) => { window.bytes = text.length; }, close: async () => {} };
} })"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, measure, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=100, help="answers that are timed in each part of a run (default 100)")
    parser.add_argument("--pace", type=int, default=150, help="ms between two keys (default 150)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--browser", default=_browser(), help="Chromium or Chrome")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "label_page.json")
    options = parser.parse_args(arguments)
    if not options.browser:
        parser.error("no Chromium or Chrome is installed; name one with --browser")
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = write_many(Path(folder), options.patches)
        size = (Path(folder) / "label.html").stat().st_size
        runs = []
        for _ in range(options.runs):
            browser = playwright.chromium.launch(executable_path=options.browser, args=ARGS)
            runs.append(measure(browser, address, options))
            version = browser.version
            browser.close()
    load.append(os.getloadavg()[0])
    rows = [(name, *(f"{run[name]:.0f}" for run in runs)) for name in runs[0]]
    print_table(["ms", *(f"run {k + 1}" for k in range(len(runs)))], rows)
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "browser")}
    settings |= {"browser": version, "page_mb": round(size / 1e6, 2), "patch_px": SIZE}
    results = {"ms": runs, "median_ms": {n: statistics.median(r[n] for r in runs) for n in runs[0]}, "load": load}
    record(options.out, "label_page", settings, results, torch.device("cpu"))
    return 0


def measure(browser: Browser, address: str, options: argparse.Namespace) -> dict[str, float]:
    """One run: ms until ready, without and with answers; ms of a key and until kept, median and 95th percentile."""
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.goto(address)
    page.locator("dialog input").fill("ada")
    page.locator("dialog button.primary").click()
    found: dict[str, float] = {"ready": _ready_again(page)}
    page.evaluate(_ANSWER_HALF, options.patches // 2)
    found["ready, half answered"] = _ready_again(page)
    page.evaluate(_WATCH)
    for part in ("key", "key, saving"):
        if part == "key, saving":
            page.evaluate(_SAVE)
        times = _answer(page, options)
        for name, values in ((part, times["shown"]), (part.replace("key", "kept"), times["kept"])):
            found[f"{name}: median"] = statistics.median(values)
            found[f"{name}: 95th percentile"] = float(np.percentile(values, 95))
    page.context.close()
    return found


def _ready_again(page: Page) -> float:
    page.wait_for_selector("body[data-ready=yes]")
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    return page.evaluate("performance.getEntriesByName('ready')[0].startTime")


def _answer(page: Page, options: argparse.Namespace) -> dict[str, list[float]]:
    """Answer patches by a class key and Enter."""
    page.evaluate("() => { shown.length = kept.length = 0; }")
    for number in range(options.keys):
        page.keyboard.press(str(number % 4 + 1))
        page.wait_for_timeout(options.pace)
        page.keyboard.press("Enter")
        page.wait_for_timeout(options.pace)
    for _ in range(100):
        times = page.evaluate("({ shown, kept })")
        if min(map(len, times.values())) == options.keys:
            return times
        page.wait_for_timeout(50)
    raise RuntimeError(f"{options.keys} keys were pressed, {len(times['shown'])} answered, {len(times['kept'])} kept")


def write_many(folder: Path, count: int) -> str:
    """Write a page of ``count`` patches, which are hard links to one; its address."""
    tissue = Image.fromarray(draw_tissue(np.random.default_rng(0), (3 * SIZE, 3 * SIZE))[0])
    for name in ("patches", "context"):
        (folder / name).mkdir()
    first, around = folder / "patches/0.png", folder / "context/0.jpg"
    tissue.crop((SIZE, SIZE, 2 * SIZE, 2 * SIZE)).save(first)
    tissue.save(around, quality=85)
    for k in range(1, count):
        os.link(first, folder / f"patches/{k}.png")
        os.link(around, folder / f"context/{k}.jpg")
    return write_label_page(folder / "label.html", _content(count)).as_uri()


def _content(count: int) -> dict[str, Any]:
    classes = ("tumour epithelium", "necrosis", "lymphocyte", "stroma")
    patches = [
        {
            "image": f"patches/{k}.png", "context": f"context/{k}.jpg", "box": [SIZE, SIZE, SIZE, SIZE],
            "group": f"slide {k // 200}", "position": [SIZE * (k % 200), 0], "look": k % 12, "opinion": [0.7, 0.1, 0.4, 0.2],
        }
        for k in range(count)
    ]  # fmt: skip
    return {
        "format": 1, "set": "0123456789abcdef", "name": "many patches", "patch_size": [SIZE, SIZE], "mpp": 1.0,
        "classes": [{"name": n, "description": n, "colour": [9, 90, 160], "key": f"{k + 1}"} for k, n in enumerate(classes)],
        "patches": patches, "order": [*range(count), *range(0, count, 20)],
    }  # fmt: skip


def _browser() -> str | None:
    return next((b for b in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if b), None)


if __name__ == "__main__":
    sys.exit(main())
