"""Pages to label patches on, opened in one browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import find_browser
from label_browser import ARGS, label_content, opened, write_label_folder
from playwright.sync_api import Browser, Page, Playwright, sync_playwright


@pytest.fixture(scope="module")
def play() -> Iterator[Playwright]:
    """One at a time is all that a process can have: modules that follow may start their own."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(play: Playwright) -> Iterator[Browser]:
    browser = play.chromium.launch(executable_path=find_browser(), args=ARGS)
    yield browser
    browser.close()


@pytest.fixture
def label(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page of some content in a context of its own; ``script`` runs before the page's."""
    contexts = []

    def open_page(
        content: dict[str, Any] | None = None, annotator: str | None = "ada", script: str = "", missing=(), **options
    ) -> Page:
        contexts.append(browser.new_context(**options))
        if script:
            contexts[-1].add_init_script(script)
        return opened(contexts[-1], write_label_folder(tmp_path, content or label_content(), missing), annotator)

    yield open_page
    for context in contexts:
        context.close()
