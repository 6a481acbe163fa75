"""Self-training within one run: the segmenter's own averaged weights become a further layer of pseudo-supervision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from .supervision import MultiLayerPseudoSupervisionLoss

__all__ = ["SelfTraining", "teacher_mask"]

_IGNORED = 255


@torch.no_grad()
def teacher_mask(logits: torch.Tensor, present: torch.Tensor, confidence: float = 0.0) -> torch.Tensor:
    """Label map of a teacher's prediction among the classes that the image-level label names.

    Args:
        logits: ``(N, C, H, W)``.
        present: ``(N, C)`` image-level labels.
        confidence: pixels whose winning class has a smaller probability, among the present ones, are ignored; in [0, 1).

    Returns:
        ``(N, H, W)`` uint8; 255 where ignored, and throughout an image without a label.
    """
    present = present.bool()
    probability = torch.softmax(logits.float().masked_fill(~present[:, :, None, None], float("-inf")), dim=1)
    best, mask = probability.max(dim=1)
    ignored = ~(best >= confidence) | ~present.any(dim=1)[:, None, None]
    return mask.to(torch.uint8).masked_fill(ignored, _IGNORED)


class SelfTraining:
    """``prepare_batch`` and handler of a trainer: appends a teacher's label map to the pseudo masks of a batch.

    Pseudo masks err alike in many patches, a network that learns from all of them less so, and its moving average still
    less. The teacher is that average. It may only choose among the classes that the image-level label names, so a patch
    of one class stays as certain as it is. The share of its layer in the loss is 0 up to epoch ``start * max_epochs``, rises
    linearly to ``weight`` at ``full * max_epochs`` and stays there; the other layers share the rest as before.

    Args:
        prepare: gives image ``(N, 3, H, W)`` and masks ``(N, L, H, W)`` of a batch.
        teacher: network in evaluation mode, usually the moving average of the trained one.
        loss: whose ``weights`` get one more entry, the teacher's.
        num_classes: number of tissue classes C; white pixels of the deepest mask (``C`` or more) stay white.
        weight: the teacher's final share of the loss, in [0, 1]; 0 switches everything off.
        start: share of the epochs before the teacher is asked.
        full: share of the epochs after which it has its final weight.
        confidence: see :func:`teacher_mask`.
        present: key of the image-level labels ``(N, C)`` in the batch.

    Raises:
        ValueError: values out of range.
    """

    def __init__(
        self,
        prepare: Callable[..., tuple[torch.Tensor, torch.Tensor]],
        teacher: nn.Module,
        loss: MultiLayerPseudoSupervisionLoss,
        num_classes: int,
        weight: float = 1.0,
        start: float = 0.4,
        full: float = 0.7,
        confidence: float = 0.0,
        present: str = "present",
    ) -> None:
        if not (0 <= weight <= 1 and 0 <= start < full <= 1 and 0 <= confidence < 1):
            raise ValueError(
                f"expected weight in [0, 1], 0 <= start < full <= 1 and confidence in [0, 1), found {weight}, {start}, "
                f"{full}, {confidence}"
            )
        self.prepare = prepare
        self.teacher = teacher
        self.loss = loss
        self.num_classes = num_classes
        self.weight = weight
        self.start = start
        self.full = full
        self.confidence = confidence
        self.present = present
        self._own = loss.weights
        self.share = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.GET_BATCH_STARTED, self.schedule)

    def schedule(self, engine: Engine) -> None:
        """Set the teacher's share for the coming iteration."""
        total = engine.state.max_epochs * engine.state.epoch_length
        self.set_share((engine.state.iteration / total - self.start) / (self.full - self.start))

    def set_share(self, progress: float) -> None:
        """Set the teacher's share of the loss to ``weight * progress``, progress limited to [0, 1]."""
        self.share = self.weight * min(1.0, max(0.0, progress))
        extra = (self.share * sum(self._own),) if self.share else ()
        self.loss.weights = (*(w * (1 - self.share) for w in self._own), *extra)

    def __call__(
        self, batch: Mapping[str, Any], device: torch.device, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Image, and masks ``(N, L + 1, H, W)`` once the teacher has a share, ``(N, L, H, W)`` before."""
        image, masks = self.prepare(batch, device, *args, **kwargs)
        if not self.share:
            return image, masks
        own = teacher_mask(self.teacher(image), torch.as_tensor(batch[self.present]).to(device), self.confidence)
        white = masks[:, -1] >= self.num_classes
        return image, torch.cat([masks, own.to(masks.dtype).masked_fill(white, _IGNORED)[:, None]], dim=1)
