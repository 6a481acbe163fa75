"""One sharper map from several class activation maps, what tissues look like close up, and the colours of the patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from ..core.arguments import arguments
from .appearance import Appearance
from .crf import WindowedCRF

__all__ = ["REFINED", "Refinement"]

#: Name of the layer that holds the refined map.
REFINED = "refined"


class Refinement:
    """Weighted mean of standardised maps, and the :class:`~.appearance.Appearance`, sharpened by a conditional random field.

    Standardised maps have a root mean square of 1 around their mean over a patch's classes (:func:`~.shares.standardise`),
    the appearance has it over the patches that it learned from.

    Args:
        weights: weight of each layer's map in their mean.
        features: shallow layers of the extractor that show what a tissue looks like; none: the maps alone.
        appearance: weight of what these say next to that mean.
        crf: settings of the :class:`~.crf.WindowedCRF`, in px of the reduced patch; ``None`` leaves it out.
        reduction: the field is solved on a patch reduced by this factor, which costs its square less.

    Raises:
        ValueError: no layer, weights that are negative or all zero, or a reduction below 1 or with a fraction.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        features: Sequence[str] = (),
        appearance: float = 0.5,
        crf: Mapping[str, Any] | None = None,
        reduction: int = 2,
    ) -> None:
        positive = weights and min([*weights.values(), appearance]) >= 0 and sum(weights.values()) > 0
        if not positive or reduction < 1 or reduction % 1:
            raise ValueError(
                "refinement: expected non-negative weights of one layer or more, not all zero, appearance >= 0 and "
                f"a whole reduction >= 1, found {dict(weights)}, {appearance}, {reduction}"
            )
        total = sum(weights.values())
        self.weights = {layer: weight / total for layer, weight in weights.items()}
        self.appearance = Appearance(features) if len(features) and appearance else None
        self.appearance_weight = appearance
        self.crf = None if crf is None else WindowedCRF(**arguments(WindowedCRF, crf, "crf"))
        self.reduction = int(reduction)

    def mean(self, scores: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Weighted mean of the layers' scores, all of one shape."""
        return sum(weight * scores[layer] for layer, weight in self.weights.items())

    def __call__(
        self, scores: Mapping[str, torch.Tensor], present: torch.Tensor, image: torch.Tensor, close: torch.Tensor | None
    ) -> torch.Tensor:
        """
        Args:
            scores: standardised maps ``{layer: (N, C, H, W)}``.
            present: ``(N, C)`` image-level labels.
            image: ``(N, 3, H, W)`` float in [0, 1].
            close: scores of the appearance ``(N, C, H, W)``, where there is one.

        Returns:
            Log-probabilities ``(N, C, H, W)``; absent classes at ``-inf``.
        """
        score = self.mean(scores)
        absent = ~present.bool()[:, :, None, None]
        if close is not None:
            score = score + self.appearance_weight * close
        if self.crf is None:
            return torch.log_softmax(score.masked_fill(absent, float("-inf")), dim=1)
        size = [max(1, -(-side // self.reduction)) for side in score.shape[-2:]]
        small = functional.interpolate(score, size=size, mode="area").masked_fill(absent, float("-inf"))
        solved = self.crf(functional.interpolate(image, size=size, mode="area"), torch.softmax(small, dim=1))
        full = functional.interpolate(
            solved.clamp(min=1e-6).log(), size=score.shape[-2:], mode="bilinear", align_corners=False
        )
        return torch.log_softmax(full.masked_fill(absent, float("-inf")), dim=1)
