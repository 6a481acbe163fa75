"""A small picture of an image that was segmented, and of its label map."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.images import read_image, read_mask
from .results import image_of, made_from

__all__ = ["thumbnail"]

logger = logging.getLogger(__name__)

_KEPT = 720  # px of the longer side that an image is made no smaller than as soon as it is read
_ROWS = 64  # of what is left of it, made at a time


def thumbnail(
    row: Mapping[str, Any], label_map: str | Path, value_range: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray, float | None] | None:
    """A smaller picture of an image that was segmented, and of its label map.

    Args:
        row: content of its ``<name>_areas.json``.
        label_map: file of its label map.
        value_range: values that become 0 and 255 in images of other than 8 bits.

    Returns:
        ``(h, w, 3)`` uint8, ``(h, w)`` uint8 and their µm/px in x, where known; ``None`` for an image that is gone, is no
        longer what was segmented, or cannot be read.
    """
    try:
        path = image_of(row)
        if not row["made_from"].startswith(made_from({"image": path})):
            return None
        image, labels = read_image(path, value_range=value_range), read_mask(label_map)
    except (OSError, ValueError) as error:
        logger.debug("no picture on the page: %s", error)
        return None
    if image.shape[:2] != labels.shape:
        return None
    step, (height, width) = max(1, max(labels.shape) // _KEPT), labels.shape
    bands = range(0, height, _ROWS * step)
    small = np.concatenate([np.asarray(Image.fromarray(image[top : top + bands.step]).reduce(step)) for top in bands])
    # the pixel in the middle: a mean of two classes would be a third one
    rows, columns = (np.minimum(np.arange(math.ceil(n / step)) * step + step // 2, n - 1) for n in (height, width))
    mpp = row.get("mpp")
    return small, labels[np.ix_(rows, columns)], mpp[1] * width / small.shape[1] if mpp else None
