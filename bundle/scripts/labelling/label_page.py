"""The page that patches are labelled on: one file, which loads the pictures beside it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..core.atomic import write_text

__all__ = ["write_label_page"]

_TEMPLATE = Path(__file__).with_name("label.html")
# modules do not load from file://: each file is a script of its own, after those whose parts it calls
_SCRIPTS = (
    "base", "content", "times", "table", "order", "agreement", "session", "talk", "store", "windows", "file",
    "pictures", "view", "strip", "nine", "summary", "dialogs", "transfer", "commands", "keys", "app", "start",
)  # fmt: skip


def write_label_page(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a page to label patches on, atomically. It sends nothing anywhere, which it also tells the browser.

    Args:
        path: target, ``.html``.
        content: what the page shows, of JSON's types: ``format`` (1), ``set`` (identity of patches and classes), ``name``,
            ``classes`` (``name``, ``description``, ``colour`` (red, green, blue in 0..255), ``key``), ``patch_size``
            (height, width in px), ``mpp`` (µm per px or ``None``), ``patches`` (``image`` and ``context`` relative to the
            page, ``box`` (top, left, height, width in px of the context), ``group``, ``position`` (y, x), ``look``,
            ``opinion`` (probability in [0, 1] for each class); all but ``image`` may be ``None``), ``order`` (indices
            of patches as they are shown; one that comes a second time is a repeat), and ``next`` (commands to be shown when
            all is answered: what trains, what suggests; none: empty).

    Returns:
        The path written.

    Raises:
        OSError: it cannot be written.
        ValueError: a number of the content is not finite.
    """
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(str(content.get("name", ""))),
        content=_embedded(content),
        scripts="\n".join(_script(f"label_{name}.js") for name in _SCRIPTS),
    )
    write_text(path, text)
    return Path(path)


def _embedded(content: Mapping[str, Any]) -> str:
    """JSON that no name in it can end: within ``<script>``, only ``<`` can begin something else."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _script(name: str) -> str:
    code = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return f"<script>\n{code}//# sourceURL={name}\n</script>"
