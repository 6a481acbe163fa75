"""Colour augmentation of H&E in its stains (colour deconvolution, Ruifrok and Johnston 2001; Tellez et al. 2018)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

__all__ = ["RandStainJitterd", "stain_jitter"]

# optical density per stain (haematoxylin, eosin, residual), rows of unit length
_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
_STAINS /= np.linalg.norm(_STAINS, axis=1, keepdims=True)
_TO_STAINS = torch.tensor(np.linalg.inv(_STAINS), dtype=torch.float32)
_FROM_STAINS = torch.tensor(_STAINS, dtype=torch.float32)
_FLOOR = 1 / 255


def stain_jitter(image: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, brightness: float) -> torch.Tensor:
    """Scale and shift the stain concentrations of an image.

    Args:
        image: ``(3, H, W)`` float RGB in [0, 1].
        scale: ``(3,)`` factor for haematoxylin, eosin and residual.
        shift: ``(3,)`` offset in optical density, applied where there is stain in proportion to the optical density.
        brightness: factor of the resulting transmittance.

    Returns:
        ``(3, H, W)`` float in [0, 1]; the image itself, up to rounding, for scale 1, shift 0 and brightness 1.
    """
    density = -torch.log(image.clamp(min=_FLOOR)).flatten(1)  # (3, H W)
    tissue = (density.mean(dim=0) / 0.15).clamp(max=1)  # glass stays white
    stains = _TO_STAINS.T @ density
    stains = stains * scale[:, None] + shift[:, None] * tissue
    density = _FROM_STAINS.T @ stains
    return (torch.exp(-density) * brightness).clamp(0, 1).reshape(image.shape)


class RandStainJitterd(RandomizableTransform, MapTransform):
    """Random :func:`stain_jitter` of a dictionary's images.

    Args:
        keys: images, ``(3, H, W)`` float tensors in [0, 1].
        scale: stain concentrations are multiplied by a factor in ``[1 - scale, 1 + scale]``, each stain by its own.
        shift: and shifted by up to this optical density.
        brightness: transmittance is multiplied by a factor in ``[1 - brightness, 1 + brightness]``.
        prob: probability of a change.
        allow_missing_keys: whether a key may be absent.
    """

    def __init__(
        self,
        keys: KeysCollection,
        scale: float = 0.3,
        shift: float = 0.05,
        brightness: float = 0.1,
        prob: float = 0.9,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.ranges = (scale, shift, brightness)

    def randomize(self, data: Any = None) -> None:
        super().randomize(data)
        scale, shift, brightness = self.ranges
        self.scale = torch.as_tensor(self.R.uniform(1 - scale, 1 + scale, 3), dtype=torch.float32)
        self.shift = torch.as_tensor(self.R.uniform(-shift, shift, 3), dtype=torch.float32)
        self.brightness = float(self.R.uniform(1 - brightness, 1 + brightness))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        output = dict(data)
        self.randomize()
        if self._do_transform:
            for key in self.key_iterator(output):
                output[key] = stain_jitter(output[key], self.scale, self.shift, self.brightness)
        return output
