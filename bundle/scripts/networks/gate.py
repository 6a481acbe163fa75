"""The classifier's gate on the segmenter (Han et al. 2022, section 3.4) and the two as one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..core.precision import mixed_precision

__all__ = ["FLIPS", "GatedSegmenter", "flipped_mean", "gate"]

#: Axes of the identity, both flips and their product.
FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))


def gate(
    probability: torch.Tensor, class_probability: torch.Tensor, gate_threshold: float | Sequence[float] = 0.1
) -> torch.Tensor:
    """Zero the probabilities of classes that the classifier gives at most ``gate_threshold``.

    Where all classes would be gated, all are left, so that no pixel is ever without a class.

    Args:
        probability: ``(N, C, H, W)`` class probabilities of the segmenter, in [0, 1].
        class_probability: probabilities of the classifier, in [0, 1]: ``(N, C)`` of images, or ``(N, C, H, W)`` of pixels,
            those of the windows around them.
        gate_threshold: threshold, of all classes or of each; the paper's is 0.1.

    Returns:
        ``(N, C, H, W)``, not renormalised.
    """
    if class_probability.ndim == 2:
        class_probability = class_probability[:, :, None, None]
    keep = class_probability > class_probability.new_tensor(gate_threshold).reshape(-1, 1, 1)
    keep = keep | ~keep.any(dim=1, keepdim=True)
    return probability * keep.to(probability.dtype)


class GatedSegmenter(nn.Module):
    """Segmenter and classifier on the same patch: class probabilities, gated.

    Of an image that is seen in windows, each window is a :meth:`look`; :meth:`join` makes the gated maps of all of them. The
    classifier is asked in the largest windows alone: the more it sees, the better it rules tissues out.

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``; needed where ``gated``.
        gated: switch of the gate.
        gate_threshold: threshold of the gate, of all classes or of each.
        flips: average the segmenter's and the classifier's probabilities over the identity, both flips and their
            product, which costs four passes instead of one.
        turned: average the segmenter's over the identity and the image turned by 180°, of windows of the largest alone, at
            the cost of one more pass; the classifier is asked once: flips are part of its training, and it sees about the
            same in either.
        published: gate logits instead of probabilities, as the paper's program does against its text: a gated class, at
            zero, can still win over negative logits. For comparison alone.
        amp: run both networks in mixed precision (bfloat16).

    Raises:
        ValueError: gated without a classifier.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        classifier: nn.Module | None = None,
        gated: bool = True,
        gate_threshold: float | Sequence[float] = 0.1,
        flips: bool = False,
        turned: bool = False,
        published: bool = False,
        amp: bool = False,
    ) -> None:
        super().__init__()
        if gated and classifier is None:
            raise ValueError("the gate needs a classifier: pass one, or gated=False")
        self.segmenter = segmenter
        self.classifier = classifier if gated else None
        self.gated = gated
        self.gate_threshold = gate_threshold
        self.flips = flips
        self.turned = turned
        self.published = published
        self.amp = amp

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Gated probabilities (``published``: logits) ``(N, C, H, W)`` for images ``(N, 3, H, W)`` float in [0, 1]."""
        return self.join(self.look(image))

    def join(self, looks: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Gated probabilities of a :meth:`look`, or of the means of many, of which ``classes`` is ``(N, C, H, W)``."""
        maps, classes = looks["maps"], looks.get("classes")
        return maps if classes is None else gate(maps, classes, self.gate_threshold)

    def look(self, image: torch.Tensor, smallest: bool = True, largest: bool = True) -> dict[str, torch.Tensor]:
        """What the gate works on.

        Args:
            image: ``(N, 3, H, W)`` float in [0, 1].
            smallest: whether windows are of the smallest size that an image is seen in, and
            largest: of the largest, which the classifier is asked in.

        Returns:
            ``maps``: the segmenter's ``(N, C, H, W)``, averaged over flips or the half turn; ``classes``: the classifier's
            probabilities ``(N, C)``, averaged over flips, where there is one and it is asked.
        """
        axes = self._axes(largest)
        # sliding windows are cut, and stacked otherwise; convolutions take half as long again to twice as long with that
        image = image.contiguous(memory_format=torch.channels_last)

        def run(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
            with mixed_precision(image.device, self.amp):
                return network(x).float()

        def maps(x: torch.Tensor) -> torch.Tensor:
            logits = run(self.segmenter, x)
            return logits if self.published else torch.softmax(logits, dim=1)

        found = {"maps": flipped_mean(maps, image, axes)}
        if largest and self.classifier is not None:
            classifier, asked = self.classifier, axes if self.flips else axes[:1]
            found["classes"] = torch.stack([torch.sigmoid(run(classifier, image.flip(a))) for a in asked]).mean(dim=0)
        return found

    def passes(self, largest: bool = True) -> int:
        """How often the segmenter looks at a window; arguments as of :meth:`look`."""
        return len(self._axes(largest))

    def _axes(self, largest: bool) -> tuple[tuple[int, ...], ...]:
        return FLIPS if self.flips else FLIPS[:: 3 if self.turned and largest else 4]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """:func:`torch.compile` both networks, however they are called."""
        for network in self.children():
            network.compile(*args, **kwargs)


def flipped_mean(
    network: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, axes: Sequence[Sequence[int]] = FLIPS
) -> torch.Tensor:
    """Mean of a network's maps ``(N, C, H, W)`` over flips of the image ``(N, 3, H, W)``, each flipped back."""
    return torch.stack([network(image.flip(a)).flip(a) for a in axes]).mean(dim=0)
