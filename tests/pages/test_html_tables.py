from __future__ import annotations

import re

from scripts.pages import number, percent, table


def test_rows_names_and_cells():
    text = table(
        "what <x>", ["name", "a&b"], [["<r>", "1"], ["s", (0.5, "<i>half</i>")], ["t", "<td class=best>9</td>"]], record="s"
    )
    assert 'aria-label="what &lt;x&gt;"' in text and '<th scope="col">a&amp;b</th>' in text
    assert re.findall(r"<tr[^>]*><th scope=\"row\">.*?</tr>", text) == [
        '<tr><th scope="row">&lt;r&gt;</th><td>1</td></tr>',
        '<tr class=record><th scope="row">s</th><td data-value="0.5"><i>half</i></td></tr>',
        '<tr><th scope="row">t</th><td class=best>9</td></tr>',
    ]
    assert "data-sortable" not in text and "<tfoot>" not in text
    assert "data-sortable" in table("x", ["n"], [], sortable=True) and "<tfoot>f</tfoot>" in table("x", ["n"], [], foot="f")


def test_numbers():
    assert (percent(0.12345), percent(0.5, 0), percent(None)) == ("12.3", "50", "–")
    assert (number(1234.5678), number(0.00012345, 2), number(None)) == ("1235", "0.00012", "–")
