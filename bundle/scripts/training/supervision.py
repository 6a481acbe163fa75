"""Multi-layer pseudo-supervision (MLPS), section 3.3 of Han et al. 2022."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MultiLayerPseudoSupervisionLoss"]


class MultiLayerPseudoSupervisionLoss(nn.Module):
    """Weighted sum of cross-entropies against the pseudo masks of several depths; white pixels are ignored.

    Args:
        weights: weight per depth, shallow to deep; the paper's are 0.2, 0.2, 0.6.
        label_smoothing: share of the target spread over all classes, in [0, 1), against noise of the pseudo masks.
        published: compute the loss as the paper's program does, which its text does not say: the mean over all pixels, white
            ones among them, is divided by the batch size once more; with ``white_background``, white is a further class
            whose logit is 100 where the deepest mask is white and 0 elsewhere.
        white_background: whether the dataset has one; of interest to ``published`` alone.
        criterion: loss of one depth in place of cross-entropy, from logits ``(N, C, H, W)`` and a mask ``(N, H, W)``, long,
            -100 where there is no tissue, as torch's losses take it. MONAI's, which have ``to_onehot_y``, get the mask as
            ``(N, 1, H, W)``; tell them ``ignore_index: -100``.

    Raises:
        ValueError: no weight, a negative one, or weights that sum to zero; a criterion for the published loss.
    """

    def __init__(
        self,
        weights: Sequence[float] = (0.2, 0.2, 0.6),
        label_smoothing: float = 0.0,
        published: bool = False,
        white_background: bool = True,
        criterion: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"weights: expected non-negative numbers with a positive sum, found {list(weights)}")
        if published and criterion is not None:
            raise ValueError("criterion: the published loss is a cross-entropy; leave out published, or the criterion")
        self.weights = tuple(float(w) for w in weights)
        self.label_smoothing = label_smoothing
        self.published = published
        self.white_background = white_background
        self.criterion = criterion

    def forward(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """
        Args:
            logits: ``(N, C, H, W)``.
            masks: ``(N, L, H, W)`` integer pseudo masks, one per weight; a value of ``C`` or more is ignored.

        Returns:
            Scalar: the mean over tissue pixels of each depth, weighted and summed; 0 where there is no tissue pixel.

        Raises:
            ValueError: shapes that do not fit each other or the weights.
        """
        expected = (logits.shape[0], len(self.weights), *logits.shape[2:])
        if tuple(masks.shape) != expected:
            raise ValueError(f"masks: expected shape {expected} (N, layers, H, W), found {tuple(masks.shape)}")
        if self.published:
            return self._published(logits, masks)
        loss = logits.new_zeros(())
        for weight, mask in zip(self.weights, masks.unbind(dim=1), strict=True):
            target = torch.where(mask < logits.shape[1], mask.long(), -100)
            if self.criterion is not None:
                if not (target >= 0).any():
                    continue  # a mean over nothing
                channel = hasattr(self.criterion, "to_onehot_y")
                loss = loss + weight * self.criterion(logits, target[:, None] if channel else target)
                continue
            tissue = (target >= 0).sum().clamp(min=1)
            total = functional.cross_entropy(
                logits, target, ignore_index=-100, reduction="sum", label_smoothing=self.label_smoothing
            )
            loss = loss + weight * total / tissue
        return loss

    def _published(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        classes = logits.shape[1]
        targets = torch.where(masks < classes, masks.long(), classes if self.white_background else -100)
        if self.white_background:
            white = 100.0 * (targets[:, -1:] == classes)
            logits = torch.cat([logits, white.to(logits.dtype)], dim=1)
        options = {"ignore_index": -100, "label_smoothing": self.label_smoothing}
        terms = list(zip(self.weights, targets.unbind(dim=1), strict=True))
        # deepest first, as the program sums: the order of a sum decides its rounding
        return sum(w * functional.cross_entropy(logits, target, **options) for w, target in reversed(terms)) / len(logits)
