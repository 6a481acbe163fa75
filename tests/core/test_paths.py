from __future__ import annotations

import os

import pytest
from scripts.core.paths import shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"plain name.png", "plain name.png"),
        ("größe-日本.png".encode(), "größe-日本.png"),
        (b"\xff\xe4.png", "\\xff\\xe4.png"),
        (b"a\nb\tc\x00\x1b[31m.png", "a\\x0ab\\x09c\\x00\\x1b[31m.png"),
        ("a\u202eb.png".encode(), "a\\x202eb.png"),  # which turns the direction of what follows
    ],
)
def test_every_name_can_be_printed(name, expected):
    assert shown(os.fsdecode(name)) == expected
    expected.encode("utf-8")
