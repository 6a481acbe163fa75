"""From an image of any size to class probabilities, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..core.facts import DatasetFacts
from ..core.white import white_background
from ..networks.gate import GatedSegmenter
from ..pseudo_masks.masker import PseudoMasker

__all__ = ["ComparisonNetwork", "label_map", "paint_white"]


class ComparisonNetwork(nn.Module):
    """All methods that a report compares, on the same windows as :class:`~scripts.networks.GatedSegmenter`.

    The classifier's own maps (stage 1) are votes: 1 for the class that a map gives a pixel, among the classes that the
    classifier finds in the window (probability above one half; the likeliest one if there is none). Windows of the smallest
    size vote, about as large as the training patches.

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        masker: pseudo masker around the classifier.
        gate_threshold: threshold of the gate, of all classes or of each.
        flips: average the segmenter's and the gate's probabilities over flips of the window.
        turned: average the segmenter's over the largest windows and these turned by 180°.
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
        return self.join(self.look(image))

    def look(self, image: torch.Tensor, smallest: bool = True, largest: bool = True) -> dict[str, torch.Tensor]:
        """As that of :class:`~scripts.networks.GatedSegmenter`; of the smallest windows ``CAM <layer>``, too."""
        looks, masker = self.gated.look(image, smallest, largest), self._masker[0]
        if not smallest:
            return looks
        class_probability = torch.sigmoid(masker.classifier(image).float())
        present = class_probability > 0.5
        present[torch.arange(len(image)), class_probability.argmax(dim=1)] = True
        maps = masker.maps(image, present)
        for layer in masker.layers:
            winner = maps[layer].masked_fill(~present[:, :, None, None], float("-inf")).argmax(dim=1)
            looks[f"CAM {layer}"] = nn.functional.one_hot(winner, present.shape[1]).permute(0, 3, 1, 2).float()
        return looks

    def passes(self, largest: bool = True) -> int:
        """As that of :class:`~scripts.networks.GatedSegmenter`."""
        return self.gated.passes(largest)

    def join(self, looks: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Maps of every method, ``(N, M * C, H, W)``, from a look or the means of many."""
        return torch.cat([looks["maps"], self.gated.join(looks), *(looks[name] for name in self.methods[2:])], dim=1)

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
