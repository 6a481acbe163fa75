"""What tissues look like close up, learned from where class activation maps are sure, applied where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from .cam import upsample

__all__ = ["Appearance"]


class Appearance:
    """Linear discriminant of the classes of a patch on shallow features of the classifier.

    Class activation maps know which tissue is where, but not where it ends: their layers see half a patch at once. Shallow
    features see a few cells and are sharp, but do not know the tissues. Least squares on pixels of many patches, each
    weighted by how sure the maps are of it, tell for every class what its surest pixels look like; errors of the maps near
    borders lie on either side of them and largely cancel.

    Args:
        layers: shallow layers of the extractor, the one with the smallest maps last.
        ridge: penalty on the squared coefficients and constant, of features in units of their standard deviation.

    Raises:
        ValueError: no layers.
    """

    def __init__(self, layers: Sequence[str], ridge: float = 0.01) -> None:
        if not layers:
            raise ValueError("appearance: expected at least one layer of the extractor, found none")
        self.layers = tuple(layers)
        self.ridge = ridge
        self.coefficients: torch.Tensor | None = None
        self.constants: torch.Tensor | None = None

    def features(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Chosen layers ``{layer: (N, c, h, w)}`` at the size of the last, ``(N, F, h, w)``."""
        size = features[self.layers[-1]].shape[-2:]
        return torch.cat([functional.adaptive_avg_pool2d(features[layer].float(), size) for layer in self.layers], dim=1)

    def fit(self, features: Sequence[torch.Tensor], scores: Sequence[torch.Tensor], present: Sequence[torch.Tensor]) -> None:
        """Learn from pixels of patches with several classes; without any, the discriminant stays unknown.

        Args:
            features: ``(F, P)`` for P pixels of a patch each.
            scores: scores of the maps there, ``(C, P)``.
            present: image-level labels of the patches, ``(C,)``.

        Raises:
            ValueError: features that are not finite.
        """
        self.coefficients = self.constants = None
        kept = [k for k, feature in enumerate(features) if feature.shape[1]]
        if not kept:
            return

        def extended(k: int) -> torch.Tensor:
            return torch.cat([features[k].double(), torch.ones(1, features[k].shape[1], dtype=torch.float64)])

        count = sum(features[k].shape[1] for k in kept)
        mean = sum(extended(k).sum(dim=1) for k in kept) / count
        deviation = (sum((extended(k) - mean[:, None]).square().sum(dim=1) for k in kept) / count).sqrt()
        # a channel that hardly moves here must not decide elsewhere
        deviation = deviation.clamp(min=max(1e-3 * float(deviation[:-1].median()), 1e-6))
        mean[-1], deviation[-1] = 0.0, 1.0
        classes, size = len(present[0]), len(mean)
        moments = torch.zeros(classes, size, size, dtype=torch.float64)
        products = torch.zeros(classes, size, dtype=torch.float64)
        totals = torch.zeros(classes, dtype=torch.float64)
        for k in kept:
            x, named = (extended(k) - mean[:, None]) / deviation[:, None], present[k].bool()
            # twice the scores: the margin of two classes goes through tanh
            share = torch.softmax((2 * scores[k].double()).masked_fill(~named[:, None], float("-inf")), dim=0)
            top = share.topk(2, dim=0).values
            sure = (top[0] - top[1]).square()
            moment, total = (x * sure) @ x.T, sure.sum()
            for index in named.nonzero().flatten().tolist():
                moments[index] += moment
                products[index] += (x * sure) @ (share[index] - 1 / named.sum())
                totals[index] += total
        known = totals > 0
        weights = torch.zeros(classes, size, dtype=torch.float64)
        moments = moments[known] / totals[known, None, None] + self.ridge * torch.eye(size, dtype=torch.float64)
        weights[known] = torch.linalg.solve(moments, products[known] / totals[known, None])
        weights = weights / deviation
        constants = weights[:, -1] - (weights * mean).sum(dim=1)
        coefficients = weights[:, :-1]
        # so that scores around their mean over a patch's classes have a root mean square of 1 in the sample
        square, values = 0.0, 0
        for k in kept:
            own = (coefficients @ features[k].double() + constants[:, None])[present[k].bool()]
            square += float((own - own.mean(dim=0)).square().sum())
            values += own.numel()
        scale = max(square / values, 1e-24) ** 0.5
        if not (coefficients / scale).isfinite().all():
            raise ValueError(f"appearance: the features of {list(self.layers)} are not finite on the training patches")
        self.coefficients, self.constants = (coefficients / scale).float(), (constants / scale).float()

    def __call__(self, features: Mapping[str, torch.Tensor], size: Sequence[int]) -> torch.Tensor:
        """Scores ``(N, C, H, W)`` of an image of (H, W) = ``size`` whose features are ``{layer: (N, c, h, w)}``.

        Raises:
            RuntimeError: nothing has been learned.
        """
        if self.coefficients is None or self.constants is None:
            raise RuntimeError("appearance: asked before it was fitted")
        maps = self.features(features)
        scores = torch.einsum("nfhw,cf->nchw", maps, self.coefficients.to(maps)) + self.constants.to(maps)[:, None, None]
        smooth = functional.avg_pool2d(functional.pad(scores, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return upsample(smooth, size)
