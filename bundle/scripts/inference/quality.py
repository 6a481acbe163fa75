"""How often networks look at a pixel: as their weights say, or as often as it ever gained something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["BEST", "inference_scheme"]

#: Two sizes of windows that overlap by half, and four flips of each: 32 looks at a pixel.
BEST: Mapping[str, Any] = {"flips": True, "window_scales": [1.0, 2.0], "overlap": 0.5}

_OVERLAP = 0.5  # of weights whose description does not say it: those of before version 0.7


def inference_scheme(recorded: Mapping[str, Any], quality: str = "recorded") -> dict[str, Any]:
    """``flips``, ``window_scales`` and ``overlap`` of inference.

    Args:
        recorded: ``inference`` of the segmenter's description.
        quality: ``"recorded"``, or ``"best"``: :data:`BEST` whatever is recorded.

    Raises:
        ValueError: another quality.
    """
    if quality not in ("recorded", "best"):
        raise ValueError(f"quality: found {quality!r}, expected recorded or best")
    return {"overlap": _OVERLAP, **(recorded if quality == "recorded" else BEST)}
