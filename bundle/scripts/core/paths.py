"""Where the bundle lies, and how a path is shown."""

import os
import unicodedata
from pathlib import Path

__all__ = ["BUNDLE_ROOT", "shown"]

#: Absolute path of the folder that holds ``configs``, ``scripts``, ``models`` and ``docs``.
BUNDLE_ROOT = str(Path(__file__).resolve().parents[2])


def shown(path: str | Path) -> str:
    """A path as text that can be printed and written everywhere: what is no UTF-8 or no character is escaped."""
    try:
        text = os.fsencode(str(path)).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no name of any file, from JSON
        text = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else f"\\x{ord(c):02x}" for c in text)
