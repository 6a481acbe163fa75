"""What networks see in patches: looks to be told apart by, and the classes that a trained classifier finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..core.precision import MixedPrecisionInferer
from ..networks.extractor import FeatureExtractor

__all__ = ["Looks", "Onlooker", "batched", "standardised"]


@dataclass(frozen=True)
class Looks:
    """What was seen in N patches.

    Args:
        features: ``(N, D)`` float32, means of feature maps.
        probability: ``(N, C)`` of the classifier, in [0, 1]; ``None`` without one.
    """

    features: np.ndarray
    probability: np.ndarray | None = None


class Onlooker:
    """Looks at patches.

    Args:
        extractor: gives the feature maps, of its last layers but the head's: ``(N, 3, H, W)`` in [0, 1] to named maps.
        classifier: gives probabilities, if any: ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C)``.
        device: where.
        amp: in mixed precision.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        classifier: nn.Module | None = None,
        device: torch.device | str = "cpu",
        amp: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.extractor, self.classifier = (
            None if network is None else network.eval().to(self.device, memory_format=torch.channels_last)
            for network in (extractor, classifier)
        )
        self.layers = extractor.cam_layers
        self._inferer = MixedPrecisionInferer(amp=amp)

    def __call__(self, batches: Iterable[np.ndarray]) -> Looks:
        """Look at patches.

        Args:
            batches: of patches of one size, ``(N, H, W, 3)`` uint8 each.
        """
        seen: dict[str, list[torch.Tensor]] = {}
        with torch.inference_mode():
            for batch in batches:
                image = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2))).to(self.device)
                image = image.float().div(255).contiguous(memory_format=torch.channels_last)
                for name, value in self._look(image).items():
                    seen.setdefault(name, []).append(value.cpu())
        if not seen:
            return Looks(np.zeros((0, 0), np.float32))
        return Looks(**{name: torch.cat(values).numpy() for name, values in seen.items()})

    def _look(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = self._inferer(image, self.extractor)
        seen = {"features": torch.cat([maps[name].float().mean(dim=(2, 3)) for name in self.layers], dim=1)}
        if self.classifier is not None:
            seen["probability"] = torch.sigmoid(self._inferer(image, self.classifier).float())
        return seen


def batched(patches: Iterable[np.ndarray], size: Sequence[int], count: int = 32) -> Iterable[np.ndarray]:
    """Patches ``(H, W, 3)`` uint8 in batches ``(N, *size, 3)``; those of another size are resampled to it.

    Args:
        patches: patches.
        size: (height, width) in px.
        count: patches in a batch.
    """
    batch: list[np.ndarray] = []
    for patch in patches:
        batch.append(_fitted(patch, size))
        if len(batch) == count:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _fitted(patch: np.ndarray, size: Sequence[int]) -> np.ndarray:
    if tuple(patch.shape[:2]) == tuple(size):
        return patch
    image = torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))[None].float()
    scaled = nn.functional.interpolate(image, tuple(size), mode="bilinear", antialias=True)[0]
    return scaled.round().clamp(0, 255).byte().numpy().transpose(1, 2, 0)


def standardised(features: np.ndarray) -> np.ndarray:
    """Features ``(N, D)`` with mean 0 and deviation 1 in each dimension, scaled to length 1: products are then cosines."""
    features = features - features.mean(axis=0)
    features = features / (features.std(axis=0) + 1e-6)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
