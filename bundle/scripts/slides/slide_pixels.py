"""What every way of reading a slide's file gives: levels of pixels, and what its file says of their size."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..core.paths import shown

__all__ = [
    "Box",
    "Level",
    "SlidePixels",
    "StatedMpp",
    "UnreadableRegion",
    "check_slide_size",
    "over_white",
    "whole_downsample",
]

#: (top, left, height, width)
Box = tuple[int, int, int, int]

# far beyond any scanner: a 4 x 6 cm glass at 0.05 µm/px has 10^12 px
_MOST_SIDE = 2**21
_MOST_PIXELS = 2**40


class Level(NamedTuple):
    """A level of a slide's pyramid: its pixels are ``y`` x ``x`` times those of level 0; ``size`` is (H, W) in its own."""

    y: float
    x: float
    size: tuple[int, int]


class StatedMpp(NamedTuple):
    """Pixel size (y, x) of level 0 in µm/px, as a file states it, and where."""

    mpp: tuple[float, float]
    place: str


class UnreadableRegion(OSError):
    """A part of a slide that cannot be decoded, such as a damaged tile; the rest of the slide can still be read.

    Attributes:
        slide: its file.
        box: (top, left, height, width) in px of level 0 within which it lies.
    """

    def __init__(self, slide: Path, box: Box, reason: str) -> None:
        self.slide, self.box, self.reason = Path(slide), box, reason
        top, left, height, width = box
        super().__init__(
            f"{shown(slide)}: {height} x {width} px at y {top}, x {left} of level 0 cannot be read: {reason or 'damaged'}"
        )

    def __reduce__(self):
        return type(self), (self.slide, self.box, self.reason)


class SlidePixels(Protocol):
    """An open file.

    Attributes:
        bounds: what was scanned, in px of level 0; the whole slide where the file does not tell.
        levels: from the finest to the coarsest.
        stated: what the file says of its µm/px, if anything.
        hint: what else it says that helps a person to know it.
    """

    bounds: Box
    levels: list[Level]
    stated: StatedMpp | None
    hint: str

    def read_level(self, level: int, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A box within a level, in its own px: ``(height, width, 3)`` uint8; equal pixels in every box. What was not
        scanned is white.

        Raises:
            UnreadableRegion: some of it cannot be decoded.
        """

    def close(self) -> None: ...


def over_white(rgba: np.ndarray) -> np.ndarray:
    """``(H, W, 4)`` uint8 colours and their opacity, not multiplied with each other, over white: ``(H, W, 3)`` uint8."""
    alpha = rgba[..., 3]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    rgb = np.full((*alpha.shape, 3), 255, np.uint8)
    solid = alpha == 255
    rgb[solid] = rgba[..., :3][solid]
    partly = (alpha > 0) & ~solid
    share = alpha[partly].astype(np.uint16)[:, None]
    rgb[partly] = (rgba[..., :3][partly] * share + 255 * (255 - share) + 127) // 255
    return rgb


def check_slide_size(path: Path, size: tuple[int, int]) -> None:
    """Let no header of a few bytes ask for more than any slide has.

    Raises:
        ValueError: it does.
    """
    height, width = size
    if not (min(size) >= 1 and max(size) <= _MOST_SIDE and height * width <= _MOST_PIXELS):
        raise ValueError(f"{shown(path)}: says that it has {height} x {width} px, which no slide has: it is damaged")


def whole_downsample(size: tuple[int, int], smaller: tuple[int, int], stated: float = 0.0) -> float | None:
    """The whole number by which a level was made smaller, which the ratio of the rounded sizes only comes near to.

    Args:
        size: (H, W) of level 0.
        smaller: (H, W) of the level.
        stated: its downsample as a library states it.

    Returns:
        ``None``: no whole number explains the sizes.
    """
    factor = round(stated or size[1] / smaller[1])
    if stated and abs(stated - factor) < 1e-6:
        return float(factor)
    fits = factor and all(n in (full // factor, -(-full // factor)) for full, n in zip(size, smaller, strict=True))
    return float(factor) if fits else None
