"""The pages of the documentation: their texts, code blocks, commands, and the files that they show."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts import BUNDLE_ROOT

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = Path(BUNDLE_ROOT)
CONFIGS, DOCS = BUNDLE / "configs", BUNDLE / "docs"
OWN = DOCS / "how-to" / "own_network_loss_recipe.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("benchmarks/*.md")])
IDS = [p.relative_to(ROOT).as_posix() for p in PAGES]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), flags=re.M | re.S)


def examples() -> dict[str, str]:
    """Files that a page shows, by the path in their first line."""
    shown = [b for language in ("python", "yaml") for b in blocks(OWN, language)]
    return {re.match(r"# (\S+)\n", block)[1]: block for block in shown}


def commands(page: Path) -> Iterator[list[str]]:
    """Words of each command of a page's bash blocks, without settings of the environment before it."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                command, words = words[:end], words[end + 1 :]
                yield [w for w in command if not re.fullmatch(r"[A-Z_]+=\S*", w)]


def settings_of(words: list[str]) -> dict[str, str]:
    """Settings of a command, as texts, by their names."""
    assert all(w.startswith("--") for w in words[::2]) and len(words) % 2 == 0, words
    return dict(zip([w.removeprefix("--") for w in words[::2]], words[1::2], strict=True))


def parsed(text: str) -> Any:
    """As the command line takes it: a Python value, else a text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
