"""Whose word on a slide's pixel size counts, and which sizes are believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.geometry import as_mpp, shown_mpp
from ..core.paths import shown
from ..core.ranges import Number
from .slide_pixels import StatedMpp

__all__ = ["SLIDE_MPP", "slide_mpp"]

#: Pixel size of a slide's level 0. 72 and 96 px per inch, which programs write that know none, are 353 and 265 µm/px.
SLIDE_MPP = Number(0.05, 20, unit="µm/px")

_HOW = "say it by the column mpp of the CSV, or by --mpp"


def slide_mpp(
    path: Path, given: float | Sequence[float] | None, stated: StatedMpp | None, hint: str = ""
) -> tuple[tuple[float, float], str]:
    """Pixel size (y, x) of level 0 in µm/px, and whose word it is: that of the user, else that of the file.

    Args:
        path: the slide, for messages.
        given: what the user says.
        stated: what the file says.
        hint: what else the file says, for the message that asks.

    Raises:
        ValueError: nobody says it, or what counts is not in 0.05 to 20; the message says how to pass it.
    """
    where = shown(path)
    if given is not None:
        mpp = as_mpp(given, f"{where}: mpp")
        if not all(v in SLIDE_MPP for v in mpp):
            raise ValueError(f"{where}: found an mpp of {shown_mpp(mpp)}, expected {SLIDE_MPP}")
        return mpp, "given"
    also = f" (it says {hint})" if hint else ""
    if stated is None:
        raise ValueError(f"{where}: does not say its µm/px{also}; {_HOW}")
    if not all(v in SLIDE_MPP for v in stated.mpp):
        inch = 25400 / stated.mpp[1] if stated.mpp[1] > 0 else 0
        dpi = f", {inch:.0f} px per inch," if any(abs(inch - known) < 0.5 for known in (72, 96, 100, 150, 300)) else ""
        raise ValueError(
            f"{where}: its {stated.place} says {shown_mpp(stated.mpp)}{dpi} which no slide has (expected 0.05 to 20){also}; "
            f"{_HOW}"
        )
    return stated.mpp, stated.place
