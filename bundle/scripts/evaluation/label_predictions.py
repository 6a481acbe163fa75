"""What both networks say of patches that have labels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import nn

from ..core.facts import DatasetFacts
from ..core.image_writers import write_mask
from ..inference.predict import paint_white
from ..networks.gate import GatedSegmenter

__all__ = ["LabelPredictions", "PatchNetwork"]


class PatchNetwork(nn.Module):
    """Classifier and segmenter on the same patch.

    Args:
        segmenter: maps ``(N, 3, H, W)`` to logits ``(N, C, H, W)``.
        classifier: maps ``(N, 3, H, W)`` to logits ``(N, C)``.
        gated: whether the segmenter's maps are gated.
        gate_threshold: threshold of the gate, of all classes or of each.
        flips: average the probabilities of both over flips of the patch.
        turned: average the segmenter's over the patch and the patch turned by 180°.
        amp: run both in mixed precision.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        classifier: nn.Module,
        gated: bool = True,
        gate_threshold: float | Sequence[float] = 0.1,
        flips: bool = False,
        turned: bool = False,
        amp: bool = False,
    ) -> None:
        super().__init__()
        self.both = GatedSegmenter(segmenter, classifier, gate_threshold=gate_threshold, flips=flips, turned=turned, amp=amp)
        self.gated = gated

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """For images ``(N, 3, H, W)`` in [0, 1]: probabilities ``maps`` ``(N, C, H, W)``, gated where asked for, and
        ``classes`` ``(N, C)``."""
        looks = self.both.look(image)
        return {**looks, "maps": self.both.join(looks) if self.gated else looks["maps"]}


class LabelPredictions:
    """Handler that keeps what a :class:`PatchNetwork` says of patches, beside their labels.

    Args:
        facts: facts of the dataset.
        folder: label maps are written to ``<folder>/label_maps/<name>.png``.

    Attributes:
        rows: of each patch its entry (``name``, ``image``, ``label``, of a window its ``corner``), ``probabilities`` (C
            numbers in [0, 1]), ``shares`` of the patch that each class fills (C numbers in [0, 1]), and the path of its
            label ``map``.
    """

    def __init__(self, facts: DatasetFacts, folder: str | Path) -> None:
        self.facts = facts
        self.folder = Path(folder)
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.STARTED, self.rows.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        pred: Mapping[str, torch.Tensor] = engine.state.output["pred"]
        columns = (engine.state.batch["entry"], engine.state.output["image"], pred["maps"], pred["classes"])
        for entry, image, maps, classes in zip(*columns, strict=True):
            mask = maps.argmax(dim=0).to("cpu", torch.uint8).numpy()
            pixels = (image.float() * 255).round().to("cpu", torch.uint8).numpy().transpose(1, 2, 0)
            mask = paint_white(mask, pixels, self.facts)
            path = self.folder / "label_maps" / f"{entry['name']}.png"
            write_mask(path, mask, self.facts)
            counts = np.bincount(mask.ravel(), minlength=self.facts.num_classes)[: self.facts.num_classes]
            row = {"probabilities": classes.float().cpu().tolist(), "shares": (counts / mask.size).tolist()}
            self.rows.append({**entry, **row, "map": str(path)})

    @property
    def labels(self) -> np.ndarray:
        """``(N, C)`` of 0 and 1."""
        return self._column("label").astype(np.int64)

    @property
    def probabilities(self) -> np.ndarray:
        """``(N, C)`` in [0, 1]."""
        return self._column("probabilities")

    @property
    def shares(self) -> np.ndarray:
        """``(N, C)`` in [0, 1]; what is left to 1 is white background."""
        return self._column("shares")

    def _column(self, key: str) -> np.ndarray:
        return np.array([row[key] for row in self.rows], np.float64).reshape(len(self.rows), self.facts.num_classes)
