"""Writes what was segmented: label map, overlay and class areas of each image, and a table of all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from ..core.atomic import write_json, write_text
from ..core.facts import DatasetFacts
from ..core.image_writers import write_grey, write_image, write_mask
from ..core.paths import shown
from ..core.pictures import background_area, class_areas, overlay
from ..core.processes import gathered, is_main
from .areas_table import areas_csv
from .certainty import certainty, grey, mean_certainty
from .inference_page import write_inference_page
from .pixel_size import PixelSize, Scaling
from .predict import label_map
from .results import AREAS, Results, made_from

__all__ = ["SavePredictions"]

logger = logging.getLogger(__name__)

FORMATS = ("png", "nii.gz", "nrrd")


class SavePredictions:
    """Handler that writes ``<name>_mask.<format>``, ``<name>_overlay.png`` and ``<name>_areas.json`` for each image,
    and ``<name>_certainty.<format>`` where asked for.

    Label maps have the image's own size, and lie where it lies. The areas are written last, so that an image with areas is
    complete. Images that could not be read are noted.

    Args:
        folder: output folder.
        facts: facts of the dataset that the networks were trained on.
        pixel_size: whose word on µm/px counts.
        output_format: ``"png"`` (palette), ``"nii.gz"`` or ``"nrrd"``.
        certainty: whether maps of certainty are written.
        temperature: of the probabilities, for the certainty.
        alpha: opacity of the overlay, in [0, 1].
        fingerprint: identifies networks and settings; results of another one in the folder are not counted.
        faults: messages for what was to be an image and is none.
        gallery: how many images the page shows at most, least certain first.
        value_range: values that become 0 and 255 in images of other than 8 bits, to show these.
    """

    def __init__(
        self,
        folder: str | Path,
        facts: DatasetFacts,
        pixel_size: PixelSize,
        output_format: str = "png",
        certainty: bool = False,
        temperature: float = 1.0,
        alpha: float = 0.4,
        fingerprint: str = "",
        faults: Sequence[str] = (),
        gallery: int = 60,
        value_range: Sequence[float] | None = None,
    ) -> None:
        if output_format not in FORMATS:
            raise ValueError(f"output_format: expected one of {', '.join(FORMATS)}, found {output_format!r}")
        self.folder = Path(folder)
        self.facts = facts
        self.pixel_size = pixel_size
        self.output_format = output_format
        self.certainty = certainty
        self.temperature = temperature
        self.alpha = alpha
        self.fingerprint = fingerprint
        self.faults = list(faults)
        self.gallery = gallery
        self.value_range = value_range
        self._skipped: set[str] = set()  # names

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        batch, output = engine.state.batch, engine.state.output
        columns = (batch["entry"], batch["fault"], batch["scaling"], output["image"], output["pred"])
        for entry, fault, scaling, pixels, pred in zip(*columns, strict=True):
            if fault:
                self.faults.append(shown(fault))
                self._skipped.add(entry["name"])  # a result of what the file was before is none of what it is
                logger.error("skipped %s", self.faults[-1])
                continue
            self.pixel_size.tell(scaling, shown(entry["image"]))
            try:
                self._write(entry, scaling, pixels, pred)
            except OSError as error:
                raise type(error)(
                    f"{self.folder / entry['name']}: its results cannot be written ({error.strerror or error}); the images "
                    "before it are done. Run the same command again once there is room, or with another output_dir"
                ) from error

    def _write(self, entry: dict[str, Any], scaling: Scaling, pixels: torch.Tensor, pred: torch.Tensor) -> None:
        image = (pixels.cpu().numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
        mask = label_map(pred, image, self.facts, scaling.size)
        target, mpp = str(self.folder / entry["name"]), scaling.geometry.mpp
        write_mask(f"{target}_mask.{self.output_format}", mask, self.facts, geometry=scaling.geometry)
        sure = certainty(pred, self.temperature).cpu().numpy()
        if self.certainty:
            write_grey(f"{target}_certainty.{self.output_format}", grey(sure), scaling.geometry)
        write_image(f"{target}_overlay.png", overlay(image, mask, self.facts, alpha=self.alpha), mpp)
        content = {
            "image": shown(entry["image"]),
            "mpp": mpp,
            "mpp_from": scaling.source or None,
            "resampled_to": scaling.size,
            "areas": class_areas(mask, self.facts, mpp),
            **({"background": background_area(mask, self.facts, mpp)} if self.facts.white_background else {}),
            "certainty": mean_certainty(sure, mask, self.facts.num_classes),
            "made_from": made_from(entry),
            "fingerprint": self.fingerprint,
        }
        write_json(f"{target}{AREAS}", content)

    def finish(self) -> dict[str, Any]:
        """Write ``areas.csv`` and ``report.html`` over all images of this fingerprint; an error if one was skipped. The
        first of several processes writes, once all are done.

        Raises:
            SystemExit: images were skipped; all others are done.
        """
        parts = gathered((self.faults, self._skipped))
        if not is_main():
            return {}
        self.faults = [fault for faults, _ in parts for fault in faults]
        self._skipped = {name for _, names in parts for name in names}
        done = Results(self.folder).of(self.fingerprint)
        rows = {name: row for name, row in done.items() if name not in self._skipped}
        write_text(self.folder / "areas.csv", areas_csv(rows.values(), self.facts))
        page = write_inference_page(
            self.folder, rows, self.facts, self.output_format, self.certainty, self.gallery, self.faults, self.value_range
        )
        logger.info("%d images segmented in %s, %d skipped; %s shows them", len(rows), self.folder, len(self.faults), page)
        if self.faults:
            raise SystemExit("\n".join([f"{len(self.faults)} images were skipped:", *self.faults]))
        return {"images": len(rows)}
