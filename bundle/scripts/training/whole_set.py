"""Figures of a whole validation set that are no sums over its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from ..core.processes import gathered

__all__ = ["WholeSet"]


class WholeSet(Metric):
    """A figure of all predictions and labels of a validation, those of other processes too, however many each has.

    Ignite's own :class:`~ignite.metrics.EpochMetric` needs as many in each process.

    Args:
        figure: gives it of predictions and labels, tensors whose first axis is the validation set.
        output_transform: engine output to both, of a batch.
    """

    def __init__(
        self, figure: Callable[[torch.Tensor, torch.Tensor], float], output_transform: Callable[[Any], Any]
    ) -> None:
        self._figure = figure
        super().__init__(output_transform=output_transform)

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all."""
        self._batches: list[tuple[torch.Tensor, torch.Tensor]] = []

    @reinit__is_reduced
    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Keep a batch."""
        predictions, labels = output
        self._batches.append((predictions.detach().cpu(), labels.detach().cpu()))

    def compute(self) -> float:
        """The figure.

        Raises:
            NotComputableError: nothing was validated.
        """
        batches = [batch for part in gathered(self._batches) for batch in part]
        if not batches:
            raise NotComputableError("nothing was validated")
        predictions, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return self._figure(predictions, labels)
