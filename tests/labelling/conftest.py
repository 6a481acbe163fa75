"""Pages to label patches on, opened in one browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from label_browser import label_browser, label_content, opened, write_label_folder
from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with label_browser() as browser:
        yield browser


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
