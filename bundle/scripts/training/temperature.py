"""How sure a segmenter may be: the temperature of its probabilities, fitted on held-out pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced
from scipy.optimize import minimize_scalar

from ..core.processes import gathered
from ..core.ranges import TEMPERATURE

__all__ = ["Temperature", "fit_temperature", "logits_and_labels"]


def logits_and_labels(
    output: Sequence[Mapping[str, torch.Tensor]] | Mapping[str, torch.Tensor],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """``output_transform`` of :class:`Temperature`: logits ``(C, H, W)`` and labels ``(H, W)`` of each image of an output.

    Args:
        output: decollated list (or one batch) with ``pred`` ``(C, H, W)`` and ``label`` ``(1, H, W)``.
    """
    if isinstance(output, Mapping):
        output = [{"pred": p, "label": t} for p, t in zip(output["pred"], output["label"], strict=True)]
    return [i["pred"] for i in output], [i["label"][0] for i in output]


class Temperature(Metric):
    """The temperature T by which logits must be divided to be as sure as they are right, as an Ignite metric.

    It minimises the negative log-likelihood of the labels under ``softmax(logits / T)`` over a sample of the pixels, which
    is drawn without chance: every n-th labelled pixel of each batch. Where the sample is full, every other pixel of it
    goes, and later batches give half as many, so that all of them count alike.

    A validation looks at each pixel once, or blends logits where windows overlap; inference averages probabilities over
    flips and sizes of windows. The temperature of these is near it, and need not be the same.

    Args:
        num_classes: number of tissue classes C; pixels of other labels (white background, not annotated) are left out.
        per_batch: pixels of a batch at most.
        in_all: pixels at most.
        output_transform: engine output to (logits, labels), lists of ``(C, H, W)`` and ``(H, W)`` tensors.

    Raises:
        ValueError: ``per_batch`` or ``in_all`` below 1.
    """

    def __init__(
        self,
        num_classes: int,
        per_batch: int = 4096,
        in_all: int = 2**18,
        output_transform: Callable[[Any], Any] = logits_and_labels,
    ) -> None:
        if per_batch < 1 or in_all < 1:
            raise ValueError(f"per_batch, in_all: expected 1 or more, found {per_batch}, {in_all}")
        self.num_classes = num_classes
        self.per_batch = per_batch
        self.in_all = in_all
        super().__init__(output_transform=output_transform)

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all pixels."""
        self._share = self.per_batch
        self._logits: list[torch.Tensor] = []  # (n, C) float32, on the CPU
        self._labels: list[torch.Tensor] = []  # (n,) int64
        self._count = 0

    @reinit__is_reduced
    def update(self, output: tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]) -> None:
        """Take a sample of a batch."""
        share = max(1, self._share // max(1, len(output[0])))
        for logits, labels in zip(*output, strict=True):
            labels = _plain(labels).flatten()
            known = torch.nonzero((labels >= 0) & (labels < self.num_classes)).flatten()
            chosen = known[:: max(1, math.ceil(len(known) / share))]
            values = _plain(logits).flatten(1)[:, chosen].T.float()
            finite = values.isfinite().all(dim=1)
            self._logits.append(values[finite].cpu())
            self._labels.append(labels[chosen][finite].long().cpu())
            self._count += len(self._labels[-1])
        while self._count > self.in_all:
            self._logits, self._labels = [torch.cat(self._logits)[::2]], [torch.cat(self._labels)[::2]]
            self._count, self._share = len(self._labels[0]), max(1, self._share // 2)

    def compute(self) -> float:
        """The temperature, from 0.25 to 8; 1 where there was no labelled pixel."""
        parts = [part for part in gathered((self._logits, self._labels)) if part[0]]
        if not any(len(labels) for _, found in parts for labels in found):
            return 1.0
        logits, labels = (torch.cat([item for part in parts for item in part[k]]) for k in (0, 1))
        return fit_temperature(logits, labels)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature of the least negative log-likelihood.

    Args:
        logits: ``(N, C)`` float.
        labels: ``(N,)`` integers in 0..C-1.

    Returns:
        From 0.25 to 8, to three digits after the point.
    """

    def loss(log_temperature: float) -> float:
        scaled = torch.log_softmax(logits * math.exp(-log_temperature), dim=1)
        return -float(scaled.gather(1, labels[:, None]).double().mean())

    # convex in 1 / T, so that it has one minimum in log T
    bounds = (math.log(TEMPERATURE.low), math.log(TEMPERATURE.high))
    found = math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x)
    return round(min(max(found, TEMPERATURE.low), TEMPERATURE.high), 3)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor
