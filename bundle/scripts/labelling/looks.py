"""What networks see in patches: looks to be told apart by, and what a trained model is sure of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..core.precision import MixedPrecisionInferer
from ..networks.classifier import TissueClassifier
from ..networks.extractor import FeatureExtractor
from ..networks.hierarchical import HierarchicalClassifier

__all__ = ["Looks", "Onlooker", "batched", "standardised"]


@dataclass(frozen=True)
class Looks:
    """What was seen in N patches.

    Args:
        features: ``(N, D)`` float32, means of feature maps.
        probability: ``(N, C)`` of the classifier, in [0, 1]; ``None`` without one.
        depths: ``(N, S, C)`` of its heads at S depths, if it has some.
        shares: ``(N, C)`` of each patch that the segmenter gives a class, if there is one.
    """

    features: np.ndarray
    probability: np.ndarray | None = None
    depths: np.ndarray | None = None
    shares: np.ndarray | None = None


class Onlooker:
    """Looks at patches.

    Args:
        extractor: gives the feature maps, of its last layers but the head's: ``(N, 3, H, W)`` in [0, 1] to named maps.
        classifier: gives probabilities, if any, and where it has heads at several depths, those of each.
        segmenter: gives shares, if any: ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``.
        device: where.
        amp: in mixed precision.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        classifier: TissueClassifier | None = None,
        segmenter: nn.Module | None = None,
        device: torch.device | str = "cpu",
        amp: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.extractor = extractor.eval().to(self.device, memory_format=torch.channels_last)
        self.classifier = None if classifier is None else classifier.eval().to(self.device)
        self.segmenter = None if segmenter is None else segmenter.eval().to(self.device, memory_format=torch.channels_last)
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
        maps, logits = self._passed(image)
        seen = {"features": torch.cat([maps[name].mean(dim=(2, 3)) for name in self.layers], dim=1)}
        if logits is not None:
            seen["probability"] = torch.sigmoid(logits)
        if isinstance(self.classifier, HierarchicalClassifier):
            each = [cam.mean(dim=(2, 3)) for cam in self.classifier.cams(maps).values()]
            seen["depths"] = torch.sigmoid(torch.stack(each, dim=1))
        if self.segmenter is not None:
            seen["shares"] = torch.softmax(self._inferer(image, self.segmenter), dim=1).mean(dim=(2, 3))
        return seen

    def _passed(self, image: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
        """Feature maps, and the classifier's logits: of one pass, where it passes images through the extractor."""
        kept: list[dict[str, torch.Tensor]] = []
        handle = self.extractor.register_forward_hook(lambda _module, _inputs, maps: kept.append(maps))
        try:
            logits = None if self.classifier is None else self._inferer(image, self.classifier)
            if not kept:
                self._inferer(image, self.extractor)
        finally:
            handle.remove()
        return {name: value.float() for name, value in kept[0].items()}, logits


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
