"""White background: slide glass and lumens, found by brightness."""

from __future__ import annotations

import numpy as np
from skimage.measure import label as connected_components

__all__ = ["white_background"]


def white_background(image: np.ndarray, brightness: int = 200, min_size: int = 50) -> np.ndarray:
    """Find white background: pixels brighter than ``brightness``, in 4-connected components of at least ``min_size`` px.

    Brightness is ITU-R 601 luma (the published program's grey level), rounded to an integer.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        brightness: grey level in 0..255 that white exceeds.
        min_size: smallest component in px.

    Returns:
        ``(H, W)`` bool.
    """
    # fixed-point luma, as PIL and OpenCV compute it, so that the threshold falls on the same pixels everywhere
    red, green, blue = (image[..., k].astype(np.int64) for k in range(3))
    grey = (red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14
    components = connected_components(grey > brightness, connectivity=1)
    large = np.bincount(components.ravel()) >= min_size
    large[0] = False
    return large[components]
