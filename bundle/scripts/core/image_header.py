"""What the header of an image file says, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["DEFLATE_RATIO", "JPEG_RATIO", "ImageHeader", "Refused", "check_data_size", "colour_channels"]

#: Most bytes that one byte of a deflate stream can stand for.
DEFLATE_RATIO = 1032
#: Most pixels that one byte of JPEG can stand for: a block of 64 takes a bit or more.
JPEG_RATIO = 512


class Refused(ValueError):
    """What a file holds is not read; the message says what was found and expected, and not of which file."""


@dataclass(frozen=True)
class ImageHeader:
    """One picture of an image file as it is stored.

    Args:
        format: name of the file format.
        height: rows in px, as stored (see ``orientation``).
        width: columns in px, as stored.
        colours: 1 (grey, or the index of a palette) or 3 (RGB).
        dtype: type of a stored sample.
        bits: of a sample, fewer than those of ``dtype`` in packed files.
        alpha: ``""`` (no further channel), ``"straight"`` or ``"premultiplied"``.
        palette: ``(n, 4)`` uint8 RGBA of an index, or ``None``.
        transparent: the stored grey value or colour that is transparent, if there is one.
        white_is_zero: whether 0 is white and the highest value black.
        scaling: slope and intercept from stored to meant values.
        orientation: 1 to 8 of EXIF and TIFF: how the stored rows are to be turned.
        lossy: whether values were changed in compressing.
        detail: what the format's decoder needs besides.
    """

    format: str
    height: int
    width: int
    colours: int
    dtype: np.dtype
    bits: int
    alpha: str = ""
    palette: np.ndarray | None = None
    transparent: tuple[int, ...] = ()
    white_is_zero: bool = False
    scaling: tuple[float, float] = (1.0, 0.0)
    orientation: int = 1
    lossy: bool = False
    detail: Any = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in px of the upright picture."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    @property
    def eight_bits(self) -> bool:
        """Whether a sample is black at 0 and white at all ones, of 8 bits or fewer."""
        return self.dtype == np.uint8 and self.scaling == (1.0, 0.0)

    @property
    def content(self) -> str:
        """In words, for messages: ``RGB of 16 bits (uint16)``."""
        kind = "a palette" if self.palette is not None else "RGB" if self.colours == 3 else "grey"
        scaled = "" if self.scaling == (1.0, 0.0) else " times {:g} plus {:g}".format(*self.scaling)
        return f"{kind}{' and alpha' if self.alpha else ''} of {self.bits} bits ({self.dtype.name}{scaled})"


def colour_channels(channels: int, what: str = "channels") -> tuple[int, str]:
    """``colours`` and ``alpha`` of a header whose format has a plain number of channels.

    Raises:
        Refused: neither grey (1), RGB (3) nor RGBA (4).
    """
    if channels not in (1, 3, 4):
        raise Refused(f"found {channels} {what}, expected grey (1) or RGB (3)")
    return (3, "straight") if channels == 4 else (channels, "")


def check_data_size(claimed: int, stored: int, ratio: int = 1) -> None:
    """Refuse a header that claims more bytes of pixels than the file can hold, or, if nothing is compressed, fewer.

    Args:
        claimed: bytes of pixels that the header speaks of.
        stored: bytes that the file has for them.
        ratio: most bytes that one stored byte can stand for; 1 if nothing is compressed.

    Raises:
        Refused: the two do not fit.
    """
    if claimed > stored * ratio + (0 if ratio == 1 else 1024):
        raise Refused(f"truncated or damaged: its header speaks of {claimed} bytes of pixels, the file holds {stored}")
    if ratio == 1 and claimed < stored:
        raise Refused(f"damaged: its header speaks of {claimed} bytes of pixels, found {stored} in the file")
