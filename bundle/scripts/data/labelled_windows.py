"""Regions with true masks as patches with image-level labels: what the classifier validates on."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection

from ..core.facts import DatasetFacts
from ..core.images import image_size, read_image, read_mask
from .rois import cut, image_level_label, pad_to
from .transforms import ReadImaged

__all__ = ["ReadWindowd", "labelled_windows"]

# where it is not known which share of a patch a class of its label fills; as in the segmenter's self-training
_THRESHOLD = 0.02


def labelled_windows(entry: Mapping[str, Any], size: Sequence[int], facts: DatasetFacts) -> Iterator[dict[str, Any]]:
    """Windows of an image, side by side (the last row and column shifted inside), each labelled by the true mask.

    A class is in the label of a window if it fills more than the facts' ``label_threshold`` of it, as of a training patch;
    windows without a class are left out. A labelled image of just that size is its own window.

    Args:
        entry: with ``image`` and ``name``, and ``mask`` or ``label``.
        size: (height, width) of a window in px. A smaller image is padded as training patches are.
        facts: facts of the dataset.

    Yields:
        Entries with ``image``, ``label``, ``name`` and, of a window, its ``corner`` (y, x in px of the image).

    Raises:
        ValueError: an image without mask is of another size, or a mask does not fit its image.
    """
    found = image_size(entry["image"])
    if entry.get("label") is not None and any(entry["label"]) and tuple(found) == tuple(size):
        yield dict(entry)
        return
    if not entry.get("mask"):
        raise ValueError(
            f"{entry['image']}: found {tuple(found)} px (H, W), expected {tuple(size)} as the training patches have: "
            "validation patches without a mask are of their size"
        )
    mask = read_mask(entry["mask"], facts.num_classes)
    if mask.shape != tuple(found):
        raise ValueError(f"{entry['mask']}: found {mask.shape} px (H, W), expected its image's {tuple(found)}")
    _, mask = pad_to(np.zeros((*mask.shape, 3), np.uint8), mask, size, facts.white_value)
    threshold = _THRESHOLD if facts.label_threshold is None else facts.label_threshold
    height, width = size
    for y, x in cut(mask.shape, size, min(size)):
        label = image_level_label(mask[y : y + height, x : x + width], facts.num_classes, threshold)
        if any(label):
            yield {"image": entry["image"], "label": label, "name": f"{entry['name']}-{y}-{x}", "corner": (y, x)}


class ReadWindowd(ReadImaged):
    """Reads windows of images: path and ``corner`` (y, x in px) to a ``(3, H, W)`` uint8 tensor. The last image is kept, as
    the windows of one follow each other.

    Args:
        keys: paths.
        size: (height, width) of a window in px; an image that is smaller is padded by reflection.
        corner: key of the window's upper left corner. Without it an image is read whole, and is of just that size.

    Raises:
        ValueError: unreadable image, or one without a corner of another size; the message names the file.
    """

    def __init__(self, keys: KeysCollection, size: tuple[int, int], corner: str = "corner") -> None:
        super().__init__(keys, size)
        self.corner = corner
        self._last: tuple[str, np.ndarray] | None = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        if self.corner not in data:
            return super().__call__(data)
        output = dict(data)
        y, x = output[self.corner]
        for key in self.key_iterator(output):
            image = self._padded(output[key])[y : y + self.size[0], x : x + self.size[1]]
            output[key] = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return output

    def _padded(self, path: str) -> np.ndarray:
        if self._last is None or self._last[0] != path:
            image = read_image(path)
            self._last = (path, pad_to(image, np.zeros(image.shape[:2], np.uint8), self.size, 0)[0])
        return self._last[1]
