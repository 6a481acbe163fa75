"""Self-training within one run: the segmenter's own averaged weights become a further layer of pseudo-supervision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from ..core.precision import MixedPrecisionInferer
from .supervision import MultiLayerPseudoSupervisionLoss

__all__ = ["SelfTraining", "teacher_mask"]

_IGNORED = 255


@torch.no_grad()
def teacher_mask(
    logits: torch.Tensor,
    present: torch.Tensor,
    masks: torch.Tensor,
    weights: Sequence[float],
    prior: float = 1.0,
    min_share: float = 0.0,
) -> torch.Tensor:
    """Label map of a teacher's prediction, held to what is known of a patch.

    A class scores its log-probability plus ``prior`` times the weight of the pseudo masks that name it. Classes that the
    image-level label does not name are out. One that it names has at least ``min_share`` of the patch: where it would get
    less, its score is raised until the pixels that come nearest to it are its own, for otherwise a network that learns from
    its own predictions drops the smaller class of a patch.

    Args:
        logits: ``(N, C, H, W)``.
        present: ``(N, C)`` image-level labels.
        masks: ``(N, L, H, W)`` pseudo masks; pixels that are white (``C`` or more) in the deepest are ignored.
        weights: weight of each of the L depths.
        prior: weight of the pseudo masks in log-probability.
        min_share: smallest share of a present class in the pixels of a patch, in [0, 1]. Where there is less tissue, or
            where three classes compete for the same pixels, a class may end with less.

    Returns:
        ``(N, H, W)`` uint8; 255 where ignored, and throughout a patch without a label.
    """
    classes = logits.shape[1]
    present = present.bool()
    tissue = masks[:, -1] < classes
    order = torch.arange(classes, device=masks.device)[:, None, None]
    votes = sum(w * (mask[:, None] == order) for w, mask in zip(weights, masks.unbind(dim=1), strict=True))
    score = torch.log_softmax(logits.float(), dim=1) + prior * votes
    score.masked_fill_(~present[:, :, None, None], float("-inf"))
    _raise_rare(score, present, tissue, min_share)
    mask = score.argmax(dim=1).to(torch.uint8)
    return mask.masked_fill(~tissue | ~present.any(dim=1)[:, None, None], _IGNORED)


def _raise_rare(score: torch.Tensor, present: torch.Tensor, tissue: torch.Tensor, min_share: float) -> None:
    """Raise, in place, the scores ``(N, C, H, W)`` of present classes that win less than their share of a patch.

    Class by class for all patches at once, and without a value that the program would have to wait for on a GPU.
    """
    least = int(min_share * tissue[0].numel())
    if not least or score.shape[1] < 2:
        return
    tissue = tissue.flatten(1)
    scarce = tissue.sum(dim=1) < least
    several = (present.sum(dim=1) > 1) & tissue.any(dim=1)
    for k in range(score.shape[1]):
        rival = torch.cat([score[:, :k], score[:, k + 1 :]], dim=1).amax(dim=1)
        behind = (rival - score[:, k]).flatten(1)
        # what the pixel lags that would be the last of the share; of all tissue where that is less
        lag = behind.masked_fill(~tissue, float("inf")).kthvalue(least, dim=1).values
        lag = torch.where(scarce, behind.masked_fill(~tissue, float("-inf")).amax(dim=1), lag)
        raised = several & present[:, k] & (lag >= 0)
        score[:, k] += torch.where(raised, lag + 1e-4, 0)[:, None, None]


class SelfTraining:
    """``prepare_batch`` and handler of a trainer: appends a teacher's label map to the pseudo masks of a batch.

    Pseudo masks err alike in many patches, a network that learns from all of them less so, and its moving average still
    less. The teacher is that average, held to the image-level label by :func:`teacher_mask`: a patch of one class stays
    as certain as it is. Its share of the loss is 0 up to epoch ``start * max_epochs``, rises linearly to ``weight``
    at ``full * max_epochs`` and stays there; the other layers share the rest as before.

    Args:
        prepare: gives image ``(N, 3, H, W)`` and masks ``(N, L, H, W)`` of a batch.
        teacher: the moving average of the trained network, or that itself; asked in evaluation mode.
        loss: the loss of training, from logits ``(N, C, H, W)`` and masks ``(N, L, H, W)``. The ``weights`` of a
            :class:`~.supervision.MultiLayerPseudoSupervisionLoss` get one more entry, the teacher's; any other one is
            computed twice, see :meth:`criterion`.
        weights: weight of each of the L depths in what the teacher is held to.
        weight: the teacher's final share of the loss, in [0, 1]; 0 switches everything off.
        start: share of the epochs before the teacher is asked.
        full: share of the epochs after which it has its final weight.
        prior: see :func:`teacher_mask`.
        min_share: see :func:`teacher_mask`.
        amp: run the teacher in mixed precision.
        present: key of the image-level labels ``(N, C)`` in the batch.

    Raises:
        ValueError: values out of range.
    """

    def __init__(
        self,
        prepare: Callable[..., tuple[torch.Tensor, torch.Tensor]],
        teacher: nn.Module,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        weights: Sequence[float],
        weight: float = 1.0,
        start: float = 0.4,
        full: float = 0.7,
        prior: float = 1.0,
        min_share: float = 0.0,
        amp: bool = False,
        present: str = "present",
    ) -> None:
        if not (0 <= weight <= 1 and 0 <= start < full <= 1 and prior >= 0 and 0 <= min_share <= 1):
            raise ValueError(
                "expected weight in [0, 1], 0 <= start < full <= 1, prior >= 0 and min_share in [0, 1], found "
                f"{weight}, {start}, {full}, {prior}, {min_share}"
            )
        self.prepare = prepare
        self.teacher = teacher
        self.loss = loss
        self.weight = weight
        self.start = start
        self.full = full
        self.prior = prior
        self.min_share = min_share
        self.infer = MixedPrecisionInferer(amp)
        self.present = present
        self._own = tuple(float(w) for w in weights)
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
        if isinstance(self.loss, MultiLayerPseudoSupervisionLoss):
            extra = (self.share * sum(self._own),) if self.share else ()
            self.loss.weights = (*(w * (1 - self.share) for w in self._own), *extra)

    def criterion(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """The trainer's loss: that of the pseudo masks and that of the teacher's mask, which is the last, by its share.

        Args:
            logits: ``(N, C, H, W)``.
            masks: ``(N, L, H, W)``, or ``(N, L + 1, H, W)`` once the teacher has a share.
        """
        if not self.share or isinstance(self.loss, MultiLayerPseudoSupervisionLoss):
            return self.loss(logits, masks)
        return (1 - self.share) * self.loss(logits, masks[:, :-1]) + self.share * self.loss(logits, masks[:, -1:])

    def __call__(
        self, batch: Mapping[str, Any], device: torch.device, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Image, and masks ``(N, L + 1, H, W)`` once the teacher has a share, ``(N, L, H, W)`` before."""
        image, masks = self.prepare(batch, device, *args, **kwargs)
        if not self.share:
            return image, masks
        training = self.teacher.training  # the trained network itself where weights are not averaged
        self.teacher.eval()
        with torch.no_grad():
            logits = self.infer(image, self.teacher)
        self.teacher.train(training)
        present = torch.as_tensor(batch[self.present]).to(device)
        own = teacher_mask(logits, present, masks, self._own, self.prior, self.min_share)
        return image, torch.cat([masks, own.to(masks.dtype)[:, None]], dim=1)
