"""Scores every method on the test images, and keeps what the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from ..core.atomic import write_json
from ..core.facts import DatasetFacts
from ..core.geometry import as_mpp
from ..core.image_writers import write_mask
from ..core.images import read_mask
from ..core.metrics import ConfusionMatrix
from ..core.processes import brought_together, gathered
from ..inference.certainty import certainty, mean_certainty
from ..inference.predict import ComparisonNetwork
from .boundaries import Boundaries
from .intervals import bootstrap, spread
from .risk_coverage import RiskCoverage

__all__ = ["Evaluation", "test_entries"]


class Evaluation:
    """Handler that counts the pixels of every method of a :class:`~scripts.inference.ComparisonNetwork` over test images.

    Args:
        network: the network that the evaluator runs.
        facts: facts of the dataset.
        folder: label maps are written to ``<folder>/label_maps/<method>/<name>.png``.
        gated: whether the method of record is the gated segmenter.
        temperature: of the probabilities that the certainty is of, see :func:`~scripts.inference.certainty.certainty`.
        measured_on: what the figures are of, recorded beside them: name and section of the dataset, SHA-256 of the weights.
    """

    def __init__(
        self,
        network: ComparisonNetwork,
        facts: DatasetFacts,
        folder: str | Path,
        gated: bool = True,
        temperature: float = 1.0,
        measured_on: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.facts = facts
        self.folder = Path(folder)
        self.method = "segmenter + gate" if gated else "segmenter"
        self.temperature = temperature
        self.measured_on = dict(measured_on or {})
        self.images: list[dict[str, Any]] = []
        self._reset()

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def _reset(self, _engine: Engine | None = None) -> None:
        self.images.clear()
        self.matrices = {method: ConfusionMatrix(self.facts.num_classes) for method in self.network.methods}
        self.borders = {method: Boundaries(self.facts.num_classes) for method in self.network.methods}
        self.risk_coverage = RiskCoverage()

    def __call__(self, engine: Engine) -> None:
        batch, output = engine.state.batch, engine.state.output
        columns = (batch["entry"], batch["scaling"], output["pred"], output["label"])
        for entry, scaling, pred, label in zip(*columns, strict=True):
            truth = label[0].cpu().numpy()
            near = Boundaries(self.facts.num_classes).near(truth)
            row: dict[str, Any] = {"name": entry["name"], "image": entry["image"], "mask": entry["mask"], "maps": {}}
            row.update(matrices={}, mpp=scaling.geometry.mpp)
            for method, probability in self.network.parts(pred).items():
                prediction = probability.argmax(dim=0).to("cpu", torch.uint8).numpy()
                row["matrices"][method] = self._count(method, prediction, truth, near)
                path = self.folder / "label_maps" / method.replace(" ", "_").replace("+", "and") / f"{entry['name']}.png"
                write_mask(path, prediction, self.facts, geometry=scaling.geometry)
                row["maps"][method] = str(path)
                if method == self.method:
                    row["scores"] = self._score(row["matrices"][method], prediction, probability, truth)
            self.images.append(row)

    def _count(self, method: str, prediction: np.ndarray, truth: np.ndarray, near: np.ndarray) -> ConfusionMatrix:
        """Count the pixels of one image for a method, and give them by themselves too."""
        matrix = ConfusionMatrix(self.facts.num_classes)
        matrix.update(prediction, truth)
        self.matrices[method] += matrix
        self.borders[method].update(prediction, truth, near)
        return matrix

    def _score(
        self, matrix: ConfusionMatrix, prediction: np.ndarray, probability: torch.Tensor, truth: np.ndarray
    ) -> dict[str, Any]:
        """Scores of one image by the method of record, its certainty with them."""
        sure, tissue = certainty(probability, self.temperature).cpu().numpy(), truth < self.facts.num_classes
        self.risk_coverage.update(sure[tissue], (prediction != truth)[tissue])
        return {**matrix.scores(self.facts.classes), "certainty": mean_certainty(sure, truth, self.facts.num_classes)}

    def together(self) -> None:
        """Have what all processes have counted, in the order of the test images; every process calls this.

        Where there are fewer images than processes, each has counted all.
        """
        parts = gathered((self.images, self.borders, self.risk_coverage))
        if len(parts) == 1 or len({row["name"] for row in parts[0][0]} & {row["name"] for row in parts[1][0]}):
            return
        images = brought_together(self.images)
        self._reset()
        self.images += images
        for row in images:
            for method, matrix in row["matrices"].items():
                self.matrices[method] += matrix
        for _, borders, risk_coverage in parts:
            self.risk_coverage += risk_coverage
            for method, found in borders.items():
                self.borders[method] += found

    def label_maps(self, output: Mapping[str, torch.Tensor]) -> tuple[list, list]:
        """``output_transform`` of the evaluator's key metric: label maps of the method of record, and true ones."""
        return [self.network.split(p)[self.method] for p in output["pred"]], [t[0] for t in output["label"]]

    def methods(self) -> dict[str, ConfusionMatrix]:
        """Confusion matrix per method: the majority-class guess, the CAM of each layer, the segmenter without and with gate.

        The guess gives every pixel the class that is most frequent in the truth, the best any constant can do.
        """
        like = self.matrices[self.method]
        majority = int(like.matrix.sum(axis=1).argmax())
        cams = [m for m in self.network.methods if m.startswith("CAM ")]
        return {
            f"majority class ({self.facts.classes[majority]})": ConfusionMatrix.constant(like, majority),
            **{m: self.matrices[m] for m in cams},
            **{m: self.matrices[m] for m in ("segmenter", "segmenter + gate")},
        }

    def results(self) -> dict[str, Any]:
        """Scores of every method and of every image, JSON-ready.

        ``scores`` and ``images`` as :meth:`~scripts.core.metrics.ConfusionMatrix.scores` has them, those of images with the
        mean ``certainty`` of their true tissue; by method, ``intervals`` (:func:`~.intervals.bootstrap`), ``over_images``
        (mean and standard deviation of the images' FwIoU) and ``borders`` (:class:`~.boundaries.Boundaries`); and
        ``risk_coverage`` of the method of record (:class:`~.risk_coverage.RiskCoverage`). ``measured_on`` says of what, and
        of how many ``images``.

        Raises:
            ValueError: there was no test image with a mask.
        """
        if not self.images:
            raise ValueError("no test image was evaluated: the datalist's test section has no entry with a mask")
        methods = [m for m in self.methods() if m in self.network.methods]
        per_method = {m: [row["matrices"][m] for row in self.images] for m in methods}
        return {
            "method": self.method,
            "measured_on": {**self.measured_on, "images": len(self.images)},
            "scores": {name: m.scores(self.facts.classes) for name, m in self.methods().items()},
            "images": {row["name"]: row["scores"] for row in self.images},
            "intervals": {m: bootstrap([one.matrix for one in found]) for m, found in per_method.items()},
            "over_images": {
                m: spread([one.scores(self.facts.classes)["fwiou"] for one in found]) for m, found in per_method.items()
            },
            "borders": {m: self.borders[m].scores() for m in methods},
            "risk_coverage": self.risk_coverage.scores(),
        }

    def write(self) -> dict[str, Any]:
        """Write :meth:`results` to ``<folder>/metrics.json`` and return them."""
        results = self.results()
        write_json(self.folder / "metrics.json", results)
        return results

    def truth(self, row: Mapping[str, Any]) -> np.ndarray:
        """True label map ``(H, W)`` of one of :attr:`images`."""
        return read_mask(row["mask"], self.facts.num_classes)


def test_entries(entries: Sequence[Mapping[str, Any]], mpp: float | None = None) -> list[dict[str, Any]]:
    """Datalist entries with a mask, as the evaluation's dataset takes them: paths, and the entry itself to keep.

    Args:
        entries: of a datalist.
        mpp: µm/px of the dataset, for entries that do not say theirs.
    """
    found = []
    for e in entries:
        if e.get("mask"):
            kept = {k: e[k] for k in ("name", "image", "mask")}
            size = mpp if e.get("mpp") is None else e["mpp"]
            if size is not None:
                kept["mpp"] = as_mpp(size, f"{e['image']}: mpp")
            found.append({"image": e["image"], "label": e["mask"], "entry": kept})
    return found
