from __future__ import annotations

import pytest
from scripts.core.recorded import read_json


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_is_none(tmp_path, content):
    path = tmp_path / "x.json"
    assert read_json(path) is None
    path.write_bytes(content)
    assert read_json(path) is None
    path.write_text('{"a": [1, null]}')
    assert read_json(path) == {"a": [1, None]}
