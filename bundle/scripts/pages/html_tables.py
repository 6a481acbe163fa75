"""Tables of a page: they scroll by themselves, and sort by a click on a column."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["number", "percent", "table"]


def table(
    label: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Any]],
    sortable: bool = False,
    record: str | None = None,
    foot: str = "",
    kind: str = "",
) -> str:
    """A table, which scrolls by itself where it is wider than the page, also by keyboard.

    Args:
        label: what it shows, for those who hear the page.
        heads: names of the columns, as text; the first is that of the rows' names.
        rows: name of each row, as text, and its cells: HTML as :func:`number` and :func:`percent` give it, a text that is
            escaped by the caller, or a pair of the value to sort by and the HTML.
        sortable: whether a click on a column's name sorts by it (the page's script does so).
        record: name of the row that is marked.
        foot: HTML of the table's foot.
        kind: class of the table.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = []
    for name, *cells in rows:
        mark = " class=record" if record is not None and name == record else ""
        lines.append(f'<tr{mark}><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>')
    sort = " data-sortable" if sortable else ""
    end = f"<tfoot>{foot}</tfoot>" if foot else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table class="{kind}"{sort}>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>{end}</table></div>"
    )


def _cell(cell: Any) -> str:
    value, shown = cell if isinstance(cell, tuple) else (None, cell)
    if isinstance(shown, str) and shown.startswith("<td"):
        return shown
    return f"<td>{shown}</td>" if value is None else f'<td data-value="{escape(str(value))}">{shown}</td>'


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] in percent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"
