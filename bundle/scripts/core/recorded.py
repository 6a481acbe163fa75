"""Files of JSON that a run has left, as far as they can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read_json"]


def read_json(path: str | Path) -> Any:
    """Content of a JSON file; ``None`` where there is none, or none that can be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
