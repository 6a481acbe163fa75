"""Reading of images as RGB of 8 bits: one rule for every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .image_formats import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    NIBABEL_SUFFIXES,
    decoded,
    image_header,
    image_mode,
    image_size,
    suffix,
    upright,
)
from .image_header import ImageHeader, Refused
from .masks import read_mask
from .paths import shown

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "NIBABEL_SUFFIXES",
    "check_value_range",
    "image_header",
    "image_mode",
    "image_size",
    "read_image",
    "read_mask",
    "suffix",
]

_ROWS_AT_ONCE = 256  # of what takes more memory for a while than it gives


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Read an image as RGB, upright.

    An image has 8 bits per channel (or fewer, black at 0 and white at all ones): grey, RGB, a palette, with transparency
    or without. Any other is refused, or scaled by ``value_range``. What is transparent shows white through.

    Args:
        path: PNG, JPEG, BMP, TIFF, MetaImage, NRRD or NIfTI.
        max_pixels: larger images are refused before anything is decoded.
        value_range: ``(low, high)`` of images of more bits, of signed, floating-point or scaled values: ``low`` becomes
            0, ``high`` 255, linearly, rounded; values beyond are clipped. Images of 8 bits are left as they are.

    Returns:
        ``(H, W, 3)`` uint8; grey images have three equal channels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, truncated, too large, or of other values than stated; the message names the file.
    """
    limits = None if value_range is None else check_value_range(value_range)

    def accept(header: ImageHeader) -> None:
        if header.eight_bits:
            return
        if limits is None:
            raise Refused(
                f"found {header.content}, expected 8 bits per channel, grey or RGB; "
                "value_range: [low, high] scales it, low becoming 0 and high 255"
            )
        if header.alpha or header.white_is_zero or header.transparent:
            what = "a white that is zero" if header.white_is_zero else "transparency"
            raise Refused(f"found {header.content} with {what}, of which value_range cannot tell: save it without")

    samples, header = decoded(path, max_pixels, accept)
    try:
        if not header.eight_bits:
            image = _scaled(samples, header, *limits)
        elif header.palette is not None:
            image = _coloured(samples, header.palette)
        else:
            image = _shaded(samples, header)
    except Refused as error:
        raise ValueError(f"{shown(path)}: {error}") from error
    image = upright(image, header.orientation)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image)


def check_value_range(value_range: Sequence[float]) -> tuple[float, float]:
    """``(low, high)`` of a setting.

    Raises:
        ValueError: not two finite numbers, the second larger.
    """
    try:
        low, high = (float(v) for v in value_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"value_range: found {value_range!r}, expected [low, high], two numbers, the second larger")
    return low, high


def _shaded(samples: np.ndarray, header: ImageHeader) -> np.ndarray:
    """Grey or colours of up to 8 bits, over white where they are transparent: ``(H, W)`` or ``(H, W, 3)`` uint8."""
    top = 2**header.bits - 1
    alpha = None
    if header.alpha:
        samples, alpha = samples[..., :-1], samples[..., -1:]
    elif header.transparent:
        alpha = np.where((samples.reshape(*samples.shape[:2], -1) == header.transparent).all(2, keepdims=True), 0, 255)
    if header.white_is_zero:
        samples = top - samples
    if top < 255:
        samples = samples * np.uint8(255 // top)
    if alpha is not None and alpha.min() < 255:
        samples = _over_white(samples.reshape(*samples.shape[:2], -1), alpha, header)
    return samples[..., 0] if samples.shape[2:] == (1,) else samples


def _over_white(colours: np.ndarray, alpha: np.ndarray, header: ImageHeader) -> np.ndarray:
    image = np.empty_like(colours)
    for rows in _blocks(len(colours)):
        share, block = alpha[rows].astype(np.uint16), colours[rows].astype(np.uint16)
        if header.alpha == "premultiplied":
            if header.white_is_zero or (block > share).any():
                raise Refused("says that its colours are multiplied by alpha, and has colours above alpha: save it as RGB")
            image[rows] = block + (255 - share)
        else:
            image[rows] = (block * share + 255 * (255 - share) + 127) // 255
    return image


def _coloured(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    highest = int(indices.max())
    if highest >= len(palette):
        raise Refused(f"damaged: found index {highest} of a palette of {len(palette)} colours")
    share = palette[:, 3:].astype(np.uint16)
    colours = (palette[:, :3] * share + 255 * (255 - share) + 127) // 255
    return colours.astype(np.uint8).take(indices, axis=0)


def _scaled(samples: np.ndarray, header: ImageHeader, low: float, high: float) -> np.ndarray:
    slope, intercept = header.scaling
    image = np.empty(samples.shape, np.uint8)
    for rows in _blocks(len(samples)):
        values = samples[rows].astype(np.float64) * slope + intercept
        if not np.isfinite(values).all():
            raise Refused("found NaN or infinite values, expected numbers that value_range can scale")
        image[rows] = np.rint(np.clip((values - low) * 255 / (high - low), 0, 255))
    return image


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS_AT_ONCE) for first in range(0, rows, _ROWS_AT_ONCE))
