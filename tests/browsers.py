"""Pages in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
]
_SEEN = """
const seen = [...document.querySelectorAll("section")].map((s) => [
  s.querySelector("h2").textContent, Math.round(s.getBoundingClientRect().height),
  [...s.querySelectorAll("img")].filter((i) => !i.complete || !i.naturalWidth).length,
]);
document.title = JSON.stringify(seen);
"""


def find_browser() -> str:
    """The browser's command; tests are skipped without one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((b for b in map(shutil.which, names) if b), None)
    if found is None:
        pytest.skip("no Chromium or Chrome is installed")
    return found


def dom(page: Path, folder: Path, script: str = "") -> str:
    """The page as it is once its own script, and another one, have run."""
    tried = folder / "tried.html"
    text = page.read_text(encoding="utf-8").replace("</body>", f"<script>{script}</script></body>")
    tried.write_text(text, encoding="utf-8")
    command = [find_browser(), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", tried.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, timeout=120, text=True).stdout


def sections_seen(page: Path, folder: Path) -> dict[str, tuple[int, int]]:
    """Height in px of each section, and how many of its pictures are not shown, by its heading."""
    title = re.search(r"<title>(.*?)</title>", dom(page, folder, _SEEN), flags=re.S)[1]
    return {heading: (height, broken) for heading, height, broken in json.loads(unescape(title))}
