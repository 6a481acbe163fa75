"""Progressive dropout attention (PDA), section 3.2 of Han et al. 2022."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from torch import nn

from .registry import register

__all__ = ["PDASchedule", "ProgressiveDropoutAttention"]


@register(enabled=False)
class ProgressiveDropoutAttention(nn.Module):
    """Weights features by the class activation maps, with the most discriminative regions dropped.

    For the CAM ``A_k = ReLU(w_k * f)`` of class ``k``, positions where ``A_k`` exceeds ``coefficient * max(A_k)`` are set
    to zero; the features are multiplied by the mean of what is left over the classes. As the coefficient falls during
    training, the classifier must find evidence beyond the most telling spot. Active in training mode only.

    Args:
        coefficient: share of the maximum, in (0, 1], above which a CAM is dropped; 1 drops nothing.
        enabled: whether the module does anything yet; :class:`PDASchedule` switches it on.
    """

    def __init__(self, coefficient: float = 1.0, enabled: bool = False) -> None:
        super().__init__()
        if not 0 < coefficient <= 1:
            raise ValueError(f"coefficient: expected a value in (0, 1], found {coefficient}")
        self.coefficient = coefficient
        self.enabled = enabled

    def forward(self, feature: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """
        Args:
            feature: feature map ``(N, D, H, W)``.
            weight: class head ``(C, D, 1, 1)``.

        Returns:
            The attended feature map ``(N, D, H, W)``; ``feature`` itself while not enabled or in evaluation mode.
        """
        if not (self.enabled and self.training):
            return feature
        cam = torch.relu(torch.nn.functional.conv2d(feature, weight))
        threshold = self.coefficient * cam.amax(dim=(2, 3), keepdim=True)
        attention = torch.where(cam <= threshold, cam, torch.zeros_like(cam)).mean(dim=1, keepdim=True)
        return feature * attention

    def extra_repr(self) -> str:
        return f"coefficient={self.coefficient}, enabled={self.enabled}"


class PDASchedule:
    """Handler that sets a :class:`ProgressiveDropoutAttention` at the start of each epoch, from the epoch number alone.

    Epoch ``e`` (1-based) uses ``decay ** (e - 1)``, but not less than the first value at or below ``floor``. Published
    program: decay 0.98 (the paper prints 0.985), floor 0.65, on from the fourth epoch.

    Args:
        pda: the module to drive.
        decay: factor per epoch.
        floor: the coefficient is no longer multiplied once it is at or below this value.
        start_epoch: first epoch (1-based) in which PDA is on; ``0`` or ``None`` leaves it off.
    """

    def __init__(
        self, pda: ProgressiveDropoutAttention, decay: float = 0.98, floor: float = 0.65, start_epoch: int | None = 4
    ) -> None:
        self.pda = pda
        self.decay = decay
        self.floor = floor
        self.start_epoch = start_epoch

    def coefficient(self, epoch: int) -> float:
        """Coefficient of the given 1-based epoch."""
        value = 1.0
        for _ in range(epoch - 1):
            if value <= self.floor:
                break
            value *= self.decay
        return value

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        self.pda.coefficient = self.coefficient(engine.state.epoch)
        self.pda.enabled = bool(self.start_epoch) and engine.state.epoch >= self.start_epoch
