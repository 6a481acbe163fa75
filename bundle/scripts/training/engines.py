"""Pieces that tie this bundle's networks and data to MONAI's trainers and evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from ..core.metrics import classification_scores
from .whole_set import WholeSet

__all__ = ["ClassificationScore", "PrepareBatch", "keep_entries", "label_maps"]


class PrepareBatch:
    """``prepare_batch`` of MONAI's engines: image and one target of a dictionary batch, on the device.

    Args:
        target: key of the target; absent in inference.
        channels_last: memory format of the image, which convolutions prefer.
    """

    def __init__(self, target: str, channels_last: bool = True) -> None:
        self.target = target
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(
        self, batch: Mapping[str, Any], device: torch.device, non_blocking: bool = False, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        image = _plain(batch["image"]).to(device, non_blocking=non_blocking, memory_format=self.format)
        target = batch.get(self.target)
        return image, None if target is None else _plain(target).to(device, non_blocking=non_blocking)


class ClassificationScore(WholeSet):
    """Multi-label scores of a whole validation set, as an Ignite metric.

    The engine's metrics get ``<name>`` (the chosen score) and every other scalar score; :attr:`scores` has them all, per
    class too.

    Args:
        classes: class names.
        score: which figure the metric is: ``"mean_ap"``, ``"macro_f1"``, ``"exact_match"``.
        threshold: probability above which a class counts as present.
    """

    def __init__(self, classes: Sequence[str], score: str = "mean_ap", threshold: float = 0.5) -> None:
        self.classes = list(classes)
        self.score = score
        self.threshold = threshold
        self.scores: dict[str, Any] = {}
        super().__init__(self._scored, output_transform=logits_and_image_labels)

    def completed(self, engine: Engine, name: str) -> None:
        """Put the chosen score and every other scalar one into the engine's metrics."""
        super().completed(engine, name)
        engine.state.metrics.update({k: v for k, v in self.scores.items() if isinstance(v, float)})

    def _scored(self, logits: torch.Tensor, labels: torch.Tensor) -> float:
        self.scores = classification_scores(
            torch.sigmoid(logits.float()).cpu().numpy(), labels.cpu().numpy(), self.classes, self.threshold
        )
        return float(self.scores[self.score] or 0.0)


def keep_entries(batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collate that stacks tensors and keeps everything else as lists, so that an image stays with its datalist entry."""
    return {
        key: torch.stack([item[key] for item in batch])
        if isinstance(batch[0][key], torch.Tensor)
        else [item[key] for item in batch]
        for key in batch[0]
    }


def label_maps(output: Sequence[Mapping[str, torch.Tensor]] | Mapping[str, torch.Tensor]) -> tuple[list, list]:
    """``output_transform`` for segmentation scores: predicted and true label maps of an engine's output.

    Args:
        output: decollated list (or one batch) with ``pred`` ``(C, H, W)`` and ``label`` ``(1, H, W)``.

    Returns:
        Lists of ``(H, W)`` integer tensors.
    """
    items = output if isinstance(output, (list, tuple)) else _decollate(output)
    return [i["pred"].argmax(dim=0) for i in items], [i["label"][0].long() for i in items]


def _decollate(batch: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    return [{"pred": p, "label": t} for p, t in zip(batch["pred"], batch["label"], strict=True)]


def logits_and_image_labels(output: Any) -> tuple[torch.Tensor, torch.Tensor]:
    items = output if isinstance(output, (list, tuple)) else _decollate(output)
    return torch.stack([_plain(i["pred"]) for i in items]), torch.stack([_plain(i["label"]) for i in items])


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
