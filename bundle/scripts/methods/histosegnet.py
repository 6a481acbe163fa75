"""Pseudo masks as HistoSegNet makes them (Chan et al., ICCV 2019), a method to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..core.arguments import arguments, passes_on
from ..pseudo_masks.cam import grad_cam
from ..pseudo_masks.crf import WindowedCRF
from ..pseudo_masks.masker import PseudoMasker

__all__ = ["HistoSegNetMasker", "subtract_others"]


class HistoSegNetMasker(PseudoMasker):
    """Positive Grad-CAM, divided by its maximum and scaled by the classifier's confidence; then each class's map minus the
    largest of the others (inter-class subtraction); then a conditional random field along the colours.

    Args:
        args: as :class:`~scripts.pseudo_masks.PseudoMasker`.
        crf: settings of the :class:`~scripts.pseudo_masks.WindowedCRF`; ``None`` leaves it out.
        floor: share that a class without evidence has before the field, in (0, 1).
        kwargs: as :class:`~scripts.pseudo_masks.PseudoMasker`.
    """

    @passes_on(PseudoMasker)
    def __init__(self, *args: Any, crf: Mapping[str, Any] | None = None, floor: float = 0.05, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.crf = None if crf is None else WindowedCRF(**arguments(WindowedCRF, crf, "crf"))
        self.floor = floor

    def cams(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Positive maps in [0, 1], scaled by the class's probability."""
        cams, logits = grad_cam(self.classifier, image, self.layers, present)
        confidence = torch.sigmoid(logits)[:, :, None, None]
        positive = {layer: cam.relu() for layer, cam in cams.items()}
        return {k: cam / cam.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12) * confidence for k, cam in positive.items()}

    def maps(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Class probabilities after subtraction and field, ``{layer: (N, C, H, W)}``; absent classes are zero."""
        image, present = image.to(self.device), present.to(self.device)
        wanted = present[:, :, None, None].float()
        result = {}
        for layer, cam in super().maps(image, present).items():
            evidence = (subtract_others(cam, present).relu() + self.floor) * wanted
            probability = evidence / evidence.sum(dim=1, keepdim=True).clamp(min=1e-12)
            result[layer] = probability if self.crf is None else self.crf(self.inner(image), probability) * wanted
        return result


def subtract_others(cam: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Each present class's map minus, in every pixel, the largest map of the other present classes.

    Args:
        cam: ``(N, C, H, W)``.
        present: ``(N, C)`` bool.

    Returns:
        ``(N, C, H, W)``; a class without another is left as it is, an absent one is zero.
    """
    absent = ~present[:, :, None, None]
    if cam.shape[1] == 1:
        return cam.masked_fill(absent, 0.0)
    top = cam.masked_fill(absent, float("-inf")).topk(2, dim=1)
    order = torch.arange(cam.shape[1], device=cam.device)[None, :, None, None]
    others = torch.where(order == top.indices[:, :1], top.values[:, 1:], top.values[:, :1])
    return (cam - others.masked_fill(others.isinf(), 0.0)).masked_fill(absent, 0.0)
