"""Reading of masks and label maps by value: one rule for every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .image_formats import MAX_PIXELS, decoded, upright
from .image_header import ImageHeader, Refused
from .paths import shown

__all__ = ["read_mask", "read_mask_values"]


def read_mask(path: str | Path, num_classes: int | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a mask or label map by value, upright: the stored value is the class index.

    A mask is one whole number per pixel, in a format that keeps it. The colours of a palette, what is transparent in it,
    and whether 0 is to be shown white are not looked at.

    Args:
        path: file in one of the formats of :func:`~scripts.core.images.read_image`, JPEG excepted.
        num_classes: number of tissue classes; a larger value than this (white background) is refused. ``None``: any.
        max_pixels: larger maps are refused before anything is decoded.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, lossy, a colour image, or a value that is no class; the message names the file.
    """
    samples = read_mask_values(path, max_pixels)
    highest = 255 if num_classes is None else num_classes
    if samples.min() < 0 or samples.max() > highest:
        values = np.unique(samples)
        found = [int(v) for v in values[(values < 0) | (values > highest)][:8]]
        raise ValueError(f"{shown(path)}: found mask values {found}, expected 0 to {highest}")
    return np.ascontiguousarray(samples.astype(np.uint8))


def read_mask_values(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read the values of a mask as they are stored, of any range: those of label tools need not be class indices.

    Args:
        path: see :func:`read_mask`.
        max_pixels: see there.

    Returns:
        ``(H, W)`` of an integer type, upright.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, lossy, a colour image, or a value that is no whole number; the message names the file.
    """
    samples, header = decoded(path, max_pixels, _accept)
    if header.alpha:
        samples, alpha = samples[..., 0], samples[..., 1]
        if alpha.min() < np.iinfo(alpha.dtype).max:
            raise ValueError(f"{shown(path)}: found a mask with transparent pixels, expected one value per pixel")
    if header.scaling != (1.0, 0.0):
        samples = samples.astype(np.float64) * header.scaling[0] + header.scaling[1]
    if samples.dtype.kind == "f" and not (np.isfinite(samples).all() and (samples == np.rint(samples)).all()):
        raise ValueError(f"{shown(path)}: found a mask of {header.content}, values that are no whole numbers among them")
    if samples.dtype.kind == "f":
        if np.abs(samples).max() >= 2**31:
            raise ValueError(f"{shown(path)}: found mask values up to {np.abs(samples).max():g}, expected less than {2**31}")
        samples = samples.astype(np.int64)
    return np.ascontiguousarray(upright(samples, header.orientation))


def _accept(header: ImageHeader) -> None:
    if header.lossy:
        found = "JPEG" if header.format == "JPEG" else f"{header.format} with JPEG compression"
        raise Refused(
            f"found a mask in {found}, which changes values; expected a format that keeps them: "
            "export it anew as PNG, from where it was drawn"
        )
    if header.colours == 3 or (header.alpha and header.bits > 8):
        raise Refused(f"found {header.content}, expected a palette or grey values, one per pixel, that are the class")
