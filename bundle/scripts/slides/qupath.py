"""QuPath's GeoJSON: its annotations, as they are exported."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from ..core.paths import shown

__all__ = ["read_qupath"]

#: Largest file, unpacked, in bytes.
MAX_BYTES = 2**30


def read_qupath(path: str | Path) -> list[dict[str, Any]]:
    """Features of a GeoJSON file (``.geojson``, ``.json``, either with ``.gz``).

    Args:
        path: a feature collection, a list of features or one feature.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, damaged, or of more than 1 GiB; the message names it.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        content = json.loads(data.decode("utf-8-sig"))
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError, RecursionError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise ValueError(f"{shown(path)}: not readable as GeoJSON ({reason}); export it from QuPath anew") from error
    if isinstance(content, dict):
        content = content.get("features") if content.get("type") == "FeatureCollection" else [content]
    if not isinstance(content, list) or not all(isinstance(f, dict) and f.get("type") == "Feature" for f in content):
        raise ValueError(f"{shown(path)}: no GeoJSON, expected a list of features as QuPath exports it")
    return content
