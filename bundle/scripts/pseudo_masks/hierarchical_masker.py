"""Pseudo masks from a classifier with a class head at several depths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..core.arguments import passes_on
from ..networks.classifier import TissueClassifier
from ..networks.hierarchical import HierarchicalClassifier
from .cam import grad_cam_and_features, upsample
from .masker import PseudoMasker

__all__ = ["FUSED", "GRAD_CAM", "HierarchicalMasker", "make_masker"]

#: Name of the weighted sum of all depths among the layers of a :class:`HierarchicalMasker`.
FUSED = "fused"
#: What the names of its Grad-CAM layers begin with.
GRAD_CAM = "gradcam_"


@passes_on(PseudoMasker)
def make_masker(classifier: TissueClassifier, *args: Any, **kwargs: Any) -> PseudoMasker:
    """The masker that suits a classifier: :class:`HierarchicalMasker` for one with a class head at several depths, else
    :class:`~.masker.PseudoMasker`, whose arguments it takes."""
    kind = HierarchicalMasker if isinstance(classifier, HierarchicalClassifier) else PseudoMasker
    return kind(classifier, *args, **kwargs)


class HierarchicalMasker(PseudoMasker):
    """Pseudo masks from a :class:`HierarchicalClassifier`, of three kinds of layers.

    A depth's name stands for the map of its class head, ``"fused"`` for the weighted sum of these; they are positive and
    divided by their maximum within the patch, the sum after that. ``"gradcam_<layer>"`` is the Grad-CAM of the deepest logit
    at a layer of the extractor, and errs elsewhere: the heads see rectified features, Grad-CAM what comes before.
    """

    classifier: HierarchicalClassifier

    def default_layers(self, classifier: HierarchicalClassifier) -> Sequence[str]:
        """The maps of the class heads, and their sum."""
        return [*classifier.depths, FUSED]

    def check_layers(self, classifier: TissueClassifier, layers: Sequence[str]) -> None:
        names = classifier.extractor.layers
        reached = names[: names.index(classifier.layer) + 1]
        known = [*classifier.depths, FUSED, *(GRAD_CAM + name for name in reached)]
        unknown = [name for name in layers if name not in known]
        if unknown:
            raise ValueError(f"no maps of {unknown}; there are {known}")

    def cams(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps of the heads at the size of the image, in [0, 1] within the patch, raw Grad-CAM at the size of its layer."""
        gradient = [name.removeprefix(GRAD_CAM) for name in self.layers if name.startswith(GRAD_CAM)]
        if gradient:
            cams, _, features = grad_cam_and_features(self.classifier, image, gradient, present, contrast=not self.balance)
        else:
            with torch.no_grad():
                cams, features = {}, self.classifier.extractor(image)
        maps = self._head_maps(features, image.shape[-2:], present) if len(gradient) < len(self.layers) else {}
        maps.update({GRAD_CAM + name: cam for name, cam in cams.items()})
        return {layer: maps[layer] for layer in self.layers}

    @torch.no_grad()
    def _head_maps(
        self, features: Mapping[str, torch.Tensor], size: Sequence[int], present: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        maps: dict[str, Any] = {}
        for name, cam in self.classifier.cams(features).items():
            cam = upsample(cam, size).relu() * present[:, :, None, None]
            maps[name] = cam / self.inner(cam).amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)
        maps[FUSED] = sum(w * maps[name] for w, name in zip(self.classifier.weights, self.classifier.depths, strict=True))
        return maps
