"""The gate and all windows for programs that bring the segmenter themselves and know inferers and transforms alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.inferers import Inferer
from monai.transforms import MapTransform
from torch import nn

from ..core.facts import DatasetFacts
from ..networks.gate import GatedSegmenter
from .predict import label_map

__all__ = ["GatedInferer", "LabelMapd"]


class GatedInferer(Inferer):
    """:class:`~scripts.networks.GatedSegmenter` of the network that it is given, in the windows of another inferer.

    Args:
        inferer: such as :class:`~scripts.inference.MultiWindowInferer`.
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``; ``None``: nothing is gated.
        gate_threshold: probability up to which a class is gated, of all classes or of each.
        flips: see :class:`~scripts.networks.GatedSegmenter`.
        turned: see there.
        amp: see there.
    """

    def __init__(
        self,
        inferer: Inferer,
        classifier: nn.Module | None,
        gate_threshold: float | Sequence[float] | None = None,
        flips: bool = False,
        turned: bool = False,
        amp: bool = False,
    ) -> None:
        super().__init__()
        self.inferer = inferer
        self.classifier = None if classifier is None else classifier.eval()
        self.settings = {"gate_threshold": gate_threshold, "flips": flips, "turned": turned, "amp": amp}

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Gated probabilities ``(N, C, H, W)``.

        Args:
            inputs: images ``(N, 3, H, W)`` float in [0, 1].
            network: the segmenter, in evaluation mode, on the device of ``inputs``.
            args: further arguments of ``inferer``.
            kwargs: further arguments of ``inferer``.
        """
        classifier = None if self.classifier is None else self.classifier.to(inputs.device)
        gated = GatedSegmenter(network, classifier, classifier is not None, **self.settings)
        return self.inferer(inputs, gated, *args, **kwargs)


class LabelMapd(MapTransform):
    """Probabilities ``(C, H, W)`` to the label map ``(H, W)`` uint8 that a person gets, white background painted.

    Args:
        keys: probabilities.
        facts: facts of the dataset.
        image: key of the image that they are of, ``(3, H, W)`` float in [0, 1], read from 8 bits.
    """

    def __init__(self, keys: KeysCollection, facts: DatasetFacts, image: str = "image") -> None:
        super().__init__(keys)
        self.facts = facts
        self.image = image

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        output = dict(data)
        pixels = (torch.as_tensor(output[self.image]).cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        for key in self.key_iterator(output):
            output[key] = torch.from_numpy(label_map(torch.as_tensor(output[key]), pixels, self.facts))
        return output
