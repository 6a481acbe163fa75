"""The frame of every page: heading, facts, legend, verdict, sections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..core.atomic import write_text
from ..core.facts import DatasetFacts

__all__ = ["Page", "Verdict", "copyable", "write_page"]

_TEMPLATE = Path(__file__).with_name("page.html")
_SCRIPT = Path(__file__).with_name("page.js")


@dataclass(frozen=True)
class Verdict:
    """A sentence that says what the figures mean.

    Args:
        kind: ``"good"``, ``"watch"`` (to be looked at), ``"bad"`` or ``"note"``.
        text: the sentence.
    """

    kind: str
    text: str


@dataclass
class Page:
    """What a page shows.

    Args:
        title: heading.
        facts: facts of the dataset, for the legend; ``None``: there is none.
        details: what stands below the heading: name to text; empty texts are left out.
        verdicts: what the figures mean.
        sections: heading and HTML; those without HTML are left out.
        command: next command, ready to copy.
        environment: versions, commit, seed; nested once at most.
        switches: whether the legend switches the classes of layered images, and their opacity is set.
    """

    title: str
    facts: DatasetFacts | None
    details: Mapping[str, Any] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()
    sections: Sequence[tuple[str, str]] = ()
    command: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    switches: bool = False


def write_page(path: str | Path, page: Page) -> Path:
    """Write a page atomically. It holds its pictures and its script, and loads nothing, which it also tells the browser.

    Args:
        path: target, ``.html``.
        page: the content; texts are escaped, HTML of sections is taken as it is.
    """
    sections = [*page.sections]
    if page.command:
        sections.append(("Next", copyable(page.command)))
    sections.append(("How this was made", _environment(page.environment)))
    body = "\n".join(f"<section><h2>{escape(t)}</h2>\n{c}</section>" for t, c in sections if c)
    details = {**page.details, "Written": time.strftime("%Y-%m-%d %H:%M %Z")}
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(page.title),
        facts="".join(f"<div><dt>{escape(k)}</dt><dd>{escape(str(v))}</dd></div>" for k, v in details.items() if str(v)),
        legend="" if page.facts is None else _legend(page.facts, page.switches),
        verdicts="".join(f'<li class="{v.kind}">{escape(v.text)}</li>' for v in page.verdicts),
        body=body,
        script=_SCRIPT.read_text(encoding="utf-8"),
    )
    write_text(path, text)
    return Path(path)


def _legend(facts: DatasetFacts, switches: bool) -> str:
    items = []
    for k, (name, description, colour) in enumerate(zip(facts.classes, facts.descriptions, facts.palette, strict=True)):
        swatch = f'<span class="swatch" style="background:rgb{tuple(colour)}"></span>{escape(name)}'
        swatch += f" <small>{escape(description)}</small>" if description != name else ""
        if switches:
            swatch = f'<label><input type="checkbox" data-class="{k}" checked>{swatch}</label>'
        items.append(f"<li>{swatch}</li>")
    if facts.white_background:
        items.append('<li><span class="swatch" style="background:#fff"></span>white background</li>')
    if switches:
        items.append('<li><label>opacity <input type="range" id="opacity" min="0" max="100" value="40"></label></li>')
    return "".join(items)


def copyable(command: str) -> str:
    """HTML of a command with a button that copies it."""
    return f'<div class="command"><pre tabindex="0">{escape(command)}</pre><button type="button">copy</button></div>'


def _environment(environment: Mapping[str, Any]) -> str:
    flat = {}
    for key, value in environment.items():
        flat.update({f"{key} {k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value})
    rows = "".join(f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(str(v))}</td></tr>' for k, v in flat.items())
    return f"<details><summary>Versions, seed, commit</summary><table>{rows}</table></details>" if rows else ""
