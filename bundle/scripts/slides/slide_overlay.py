"""A slide's thumbnail under its label map, with legend and scale bar."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..core.facts import DatasetFacts
from ..core.image_writers import write_image
from ..core.pictures import legend, overlay
from .label_tiff import NOT_SEGMENTED, LabelRows, label_palette

__all__ = ["labels_under", "slide_overlay", "write_slide_overlay"]

_HEIGHT = 22  # px of the legend, and of the scale bar's line


def labels_under(
    shape: tuple[int, int],
    downsample: tuple[float, float],
    rows: LabelRows,
    scale: tuple[float, float],
    outside: int,
) -> np.ndarray:
    """Label under the middle of each pixel of a thumbnail that begins where the label map does.

    Args:
        shape: (H, W) of the thumbnail.
        downsample: (y, x) level-0 px per pixel of the thumbnail.
        rows: the label map.
        scale: (y, x) level-0 px per pixel of the label map.
        outside: value beside the label map.

    Returns:
        ``(H, W)`` uint8.
    """
    y, x = (np.floor((np.arange(n) + 0.5) * d / s).astype(int) for n, d, s in zip(shape, downsample, scale, strict=True))
    found = np.full(shape, outside, np.uint8)
    inside = (x >= 0) & (x < rows.size[1])
    for row in np.flatnonzero((y >= 0) & (y < rows.size[0])):
        found[row, inside] = rows.read(int(y[row]), 1)[0, x[inside]]
    return found


def slide_overlay(
    thumbnail: np.ndarray, labels: np.ndarray, facts: DatasetFacts, mpp: tuple[float, float], alpha: float = 0.4
) -> np.ndarray:
    """Picture of a thumbnail under its labels; what was not segmented is grey and hatched.

    Args:
        thumbnail: ``(H, W, 3)`` uint8.
        labels: ``(H, W)`` uint8, of :func:`labels_under`.
        facts: classes and palette.
        mpp: µm (y, x) per pixel of the thumbnail.
        alpha: opacity of the colours.

    Returns:
        ``(H + 44, at least W, 3)`` uint8.
    """
    lost = labels == NOT_SEGMENTED
    picture = overlay(thumbnail, np.where(lost, facts.white_value, labels), facts, alpha=alpha)
    y, x = np.nonzero(lost)
    grey = label_palette(facts)[NOT_SEGMENTED]
    picture[y, x] = np.where(((y + x) % 8 < 2)[:, None], grey // 2, grey)
    names = legend(facts, _HEIGHT)
    bar = _scale_bar(mpp[1], picture.shape[1], bool(lost.any()), tuple(grey.tolist()))
    width = max(part.shape[1] for part in (picture, names, bar))
    parts = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in (picture, names, bar)]
    return np.concatenate(parts)


def _scale_bar(mpp: float, width: int, lost: bool, grey: tuple[int, ...]) -> np.ndarray:
    """A bar of 1, 2 or 5 times a power of ten, at most a quarter of the picture long, and the colour of what is missing."""
    most = max(40, width / 4) * mpp  # µm
    power = 10.0 ** math.floor(math.log10(most))
    length = max(k * power for k in (1, 2, 5) if k * power <= most)
    text = f"{length / 1000:g} mm"  # the font has no µ
    font = ImageFont.load_default(size=_HEIGHT * 0.6)
    right = 8 + round(length / mpp)
    end = right + 8 + math.ceil(font.getlength(text))
    missing = "not segmented"
    total = end + (3 * _HEIGHT + math.ceil(font.getlength(missing)) if lost else 8)
    image = Image.new("RGB", (total, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((8, 9, right - 1, 12), fill="black")
    draw.text((right + 8, 3), text, fill="black", font=font)
    if lost:
        draw.rectangle((end + _HEIGHT, 4, end + 2 * _HEIGHT - 8, _HEIGHT - 4), fill=grey, outline="black")
        draw.text((end + 2 * _HEIGHT, 3), missing, fill="black", font=font)
    return np.asarray(image)


def write_slide_overlay(
    path: str | Path,
    thumbnail: np.ndarray,
    downsample: tuple[float, float],
    rows: LabelRows,
    facts: DatasetFacts,
    mpp: tuple[float, float],
    scale: tuple[float, float],
) -> None:
    """Write the picture of :func:`slide_overlay` atomically, as JPEG or PNG by suffix.

    Args:
        path: target.
        thumbnail: ``(H, W, 3)`` uint8, which begins where the label map does.
        downsample: (y, x) level-0 px per pixel of it.
        rows: the label map.
        facts: classes and palette.
        mpp: (y, x) µm per level-0 px.
        scale: (y, x) level-0 px per pixel of the label map.

    Raises:
        OSError: it cannot be written.
    """
    labels = labels_under(thumbnail.shape[:2], downsample, rows, scale, facts.white_value)
    size = mpp[0] * downsample[0], mpp[1] * downsample[1]
    write_image(path, slide_overlay(thumbnail, labels, facts, size))
