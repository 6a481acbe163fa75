"""From an image of any size to class probabilities, window by window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..core.facts import DatasetFacts
from ..core.white import white_background
from ..networks.gate import GatedSegmenter, gate
from ..pseudo_masks.masker import PseudoMasker

__all__ = ["ComparisonNetwork", "label_map", "paint_white"]


class ComparisonNetwork(nn.Module):
    """All methods that a report compares, on one window: one forward pass of each network.

    The classifier's own maps (stage 1) are votes: 1 for the class that a map gives a pixel, among the classes that the
    classifier finds in the window (probability above one half; the likeliest one if there is none).

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        masker: pseudo masker around the classifier.
        gate_threshold: threshold of the gate, of all classes or of each.
        flips: average the segmenter's and the gate's probabilities over flips of the window.
        turned: average them over the window and the window turned by 180°.
        amp: run the segmenter and the gate in mixed precision, as inference does; the maps stay in full precision.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        masker: PseudoMasker,
        gate_threshold: float | Sequence[float] = 0.1,
        flips: bool = False,
        turned: bool = False,
        amp: bool = False,
    ) -> None:
        super().__init__()
        self.gated = GatedSegmenter(
            segmenter, masker.classifier, gate_threshold=gate_threshold, flips=flips, turned=turned, amp=amp
        )
        self._masker = [masker]  # in a list, so that its parts are not registered twice
        self.methods = ["segmenter", "segmenter + gate", *(f"CAM {layer}" for layer in masker.layers)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Maps of every method for images ``(N, 3, H, W)`` in [0, 1]: ``(N, M * C, H, W)``, method by method."""
        masker = self._masker[0]
        class_probability = torch.sigmoid(masker.classifier(image).float())
        present = class_probability > 0.5
        present[torch.arange(len(image)), class_probability.argmax(dim=1)] = True
        outputs = [self.segment(image)]
        maps = masker.maps(image, present)
        for layer in masker.layers:
            winner = maps[layer].masked_fill(~present[:, :, None, None], float("-inf")).argmax(dim=1)
            outputs.append(nn.functional.one_hot(winner, present.shape[1]).permute(0, 3, 1, 2).float())
        return torch.cat(outputs, dim=1)

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """The segmenter's maps without and with gate, ``(N, 2 * C, H, W)``, as :class:`~scripts.networks.GatedSegmenter`
        gives them."""
        probability, class_probability = self.gated.probabilities(image)
        gated = gate(probability, class_probability, self.gated.gate_threshold)
        return torch.cat([probability, gated], dim=1)

    def split(self, maps: torch.Tensor) -> dict[str, torch.Tensor]:
        """``(M * C, H, W)`` averaged maps of one image to ``{method: (H, W) label map}``."""
        return {method: part.argmax(dim=0) for method, part in self.parts(maps).items()}

    def parts(self, maps: torch.Tensor) -> dict[str, torch.Tensor]:
        """``(M * C, H, W)`` averaged maps of one image to ``{method: (C, H, W)}``."""
        return dict(zip(self.methods, maps.unflatten(0, (len(self.methods), -1)), strict=True))


def label_map(
    probability: torch.Tensor, image: np.ndarray, facts: DatasetFacts, size: tuple[int, int] | None = None
) -> np.ndarray:
    """The label map that a person gets: arg-max, with white background painted where the dataset has one.

    Args:
        probability: ``(C, H, W)``.
        image: ``(H, W, 3)`` uint8 RGB.
        facts: facts of the dataset.
        size: (height, width) in px that the network saw the image at, if not its own.

    Returns:
        ``(H, W)`` uint8.
    """
    mask = probability.argmax(dim=0).to("cpu", torch.uint8).numpy()
    return paint_white(mask, image, facts, size)


def paint_white(mask: np.ndarray, image: np.ndarray, facts: DatasetFacts, size: tuple[int, int] | None = None) -> np.ndarray:
    """Copy of ``mask`` with white background painted where the dataset has one.

    White is looked for at the pixel size of the weights, as in training: ``size`` of :func:`label_map`.
    """
    if not facts.white_background:
        return mask
    if size is None:
        white = white_background(image)
    else:
        seen = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)
        white = Image.fromarray(white_background(np.asarray(seen)).astype(np.uint8) * 255)
        white = np.asarray(white.resize(mask.shape[::-1], Image.Resampling.BILINEAR)) > 127
    return np.where(white, np.uint8(facts.white_value), mask)
