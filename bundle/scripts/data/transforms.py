"""Dictionary transforms around this bundle's image reading, giving plain tensors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..core.images import check_value_range, read_image, read_mask
from ..core.paths import shown

__all__ = ["ReadImaged", "ReadMasksd", "ToUnitRanged"]


class ReadImaged(MapTransform):
    """Reads images: path to ``(3, H, W)`` uint8 tensor. Cached as such, they take a quarter of floats' memory.

    Args:
        keys: paths.
        size: expected ``(height, width)``; any by default.
        mark_faults: an image that cannot be read does not end the run: it becomes one black pixel, and ``fault`` says
            why (``""`` for the others), so that a batch job can skip it.
        allow_missing_keys: whether a key may be absent.
        value_range: ``(low, high)`` that becomes 0 to 255 in images of other than 8 bits, which are refused without.

    Raises:
        ValueError: unreadable image, or another size than expected; the message names the file.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: tuple[int, int] | None = None,
        mark_faults: bool = False,
        allow_missing_keys: bool = False,
        value_range: Sequence[float] | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = tuple(size) if size else None
        self.value_range = None if value_range is None else check_value_range(value_range)
        self.mark_faults = mark_faults

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        output = dict(data)
        for key in self.key_iterator(output):
            try:
                image = read_image(output[key], value_range=self.value_range)
            except (OSError, ValueError) as error:
                if not self.mark_faults:
                    raise
                image, output["fault"] = np.zeros((1, 1, 3), np.uint8), str(error)
            else:
                if self.mark_faults:
                    output["fault"] = ""
            if self.size and image.shape[:2] != self.size:
                raise ValueError(f"{shown(output[key])}: found {image.shape[:2]} px (H, W), expected {self.size}")
            output[key] = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return output


class ReadMasksd(MapTransform):
    """Reads one mask, or a list of masks of the same image: path(s) to ``(L, H, W)`` uint8 tensor of class indices.

    Args:
        keys: paths, or lists of L paths.
        num_classes: number of tissue classes; a value beyond it (white background) is refused.
        like: key of the image whose size the masks must have.
        allow_missing_keys: whether a key may be absent.
    """

    def __init__(
        self,
        keys: KeysCollection,
        num_classes: int,
        like: str = "image",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.num_classes = num_classes
        self.like = like

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        output = dict(data)
        for key in self.key_iterator(output):
            paths = [output[key]] if isinstance(output[key], str) else list(output[key])
            masks = [read_mask(path, self.num_classes) for path in paths]
            image = output.get(self.like)
            for path, mask in zip(paths, masks, strict=True):
                if isinstance(image, torch.Tensor) and mask.shape != image.shape[-2:]:
                    size = tuple(image.shape[-2:])
                    raise ValueError(f"{shown(path)}: found {mask.shape} px (H, W), expected its image's {size}")
            output[key] = torch.from_numpy(np.stack(masks))
        return output


class ToUnitRanged(MapTransform):
    """uint8 tensors to float32 in [0, 1]."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        output = dict(data)
        for key in self.key_iterator(output):
            output[key] = output[key].float() / 255
        return output
