"""Messages that the page on troubleshooting quotes are those that the program prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT

PAGE = Path(BUNDLE_ROOT) / "docs/how-to/troubleshooting.md"
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.M)
VARIES = "…"


def _texts(path):
    """All texts of a file, with a sign for what is put into them when the program runs."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else VARIES for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sd]", VARIES, node.value)


TEXTS = [text for path in (Path(BUNDLE_ROOT) / "scripts").rglob("*.py") for text in _texts(path)]


def test_the_page_has_the_messages_that_people_meet_most():
    assert len(MESSAGES) == len(set(MESSAGES)) >= 20


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_in_the_code(message):
    """Its parts, in their order, within one text."""
    parts = [part.strip(" :") for part in message.split(VARIES)]
    assert max(map(len, parts)) >= 8, "too little of it to be found"
    assert any(_in_order(parts, text) for text in TEXTS)


def _in_order(parts, text):
    end = 0
    for part in parts:
        start = text.find(part, end)
        if start < 0:
            return False
        end = start + len(part)
    return True
