"""One line of what the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DIFFERS", "MISSING", "OK", "Finding"]

#: States: as it should be; not there, or of no use; there, and other than it should be or was tested.
OK, MISSING, DIFFERS = "ok", "missing", "differs"


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Args:
        what: the thing.
        state: one of :data:`OK`, :data:`MISSING`, :data:`DIFFERS`.
        found: what was found of it.
        advice: what to do; empty where nothing is.
        asked: whether the person has named it, so that the command fails where it is not :data:`OK`.
    """

    what: str
    state: str
    found: str
    advice: str = ""
    asked: bool = False
