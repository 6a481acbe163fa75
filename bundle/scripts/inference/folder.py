"""Segments a folder of images: label map, overlay and class areas for each."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from ..core.atomic import write_json, write_text
from ..core.facts import DatasetFacts
from ..core.image_writers import write_image, write_mask
from ..core.images import IMAGE_SUFFIXES, suffix
from ..core.names import unique_names
from ..core.pictures import class_areas, overlay
from .predict import label_map

__all__ = ["SavePredictions", "inference_entries"]

logger = logging.getLogger(__name__)


def inference_entries(
    source: str | Path | Sequence[str], done: str | Path | None = None, fingerprint: str = ""
) -> list[dict[str, Any]]:
    """List the images to segment.

    Args:
        source: a folder (searched with its subfolders), an image, a ``datalist.json`` (test section), or a list of images.
        done: output folder; an image whose areas are already there is left out, so that a run can be continued, unless
            they are of another ``fingerprint``, or the file has changed since.
        fingerprint: identifies networks and settings, as :class:`SavePredictions` has it.

    Returns:
        ``[{"image": path, "name": unique name, "entry": {...}}]``, sorted.

    Raises:
        FileNotFoundError: no such folder or file, or no image in it.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.suffix == ".json":
            from ..data.datalist import read_datalist

            files = [Path(e["image"]) for e in read_datalist(path, "test", require=("image",))]
        elif path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and suffix(p) in IMAGE_SUFFIXES)
        else:
            files = [path]
    else:
        files = [Path(p) for p in source]
    absent = [str(p) for p in files if not p.is_file()]
    if absent or not files:
        raise FileNotFoundError(
            f"{absent[0]}: no such file"
            if absent
            else f"{source}: no image found, expected files {', '.join(IMAGE_SUFFIXES)}"
        )
    finished = set() if done is None else {row["made_from"] for row in _rows(done, fingerprint)}
    return [
        {"image": str(p), "entry": {"image": str(p), "name": name}}
        for p, name in zip(files, unique_names(files), strict=True)
        if _state(p) not in finished
    ]


class SavePredictions:
    """Handler that writes ``<name>_mask.<format>``, ``<name>_overlay.png`` and ``<name>_areas.json`` for each image.

    The areas are written last, so that an image with areas is complete. Images that could not be read are noted.

    Args:
        folder: output folder.
        facts: facts of the dataset that the networks were trained on.
        output_format: ``"png"`` (palette), ``"nii.gz"`` or ``"nrrd"``.
        mpp: pixel size of the images in µm/px, if it differs from the facts'.
        fingerprint: identifies networks and settings; results of another one in the folder are not counted.
        alpha: opacity of the overlay, in [0, 1].
    """

    def __init__(
        self,
        folder: str | Path,
        facts: DatasetFacts,
        output_format: str = "png",
        mpp: float | None = None,
        alpha: float = 0.4,
        fingerprint: str = "",
    ) -> None:
        if output_format not in ("png", "nii.gz", "nrrd"):
            raise ValueError(f"output_format: expected png, nii.gz or nrrd, found {output_format!r}")
        self.folder = Path(folder)
        self.facts = facts
        self.output_format = output_format
        self.mpp = mpp
        self.alpha = alpha
        self.fingerprint = fingerprint
        self.faults: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        batch, output = engine.state.batch, engine.state.output
        for entry, fault, pixels, pred in zip(batch["entry"], batch["fault"], output["image"], output["pred"], strict=True):
            if fault:
                logger.error("skipped %s", fault)
                self.faults.append(fault)
                continue
            image = (pixels.cpu().numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
            mask = label_map(pred, image, self.facts)
            target = str(self.folder / entry["name"])
            write_mask(f"{target}_mask.{self.output_format}", mask, self.facts, self.mpp)
            write_image(f"{target}_overlay.png", overlay(image, mask, self.facts, alpha=self.alpha))
            areas = class_areas(mask, self.facts, self.mpp)
            made = {"made_from": _state(entry["image"]), "fingerprint": self.fingerprint}
            write_json(f"{target}_areas.json", {"image": entry["image"], "areas": areas, **made})

    def finish(self) -> dict[str, Any]:
        """Write ``areas.csv`` over all images segmented with this fingerprint, and end with an error if one was skipped.

        Raises:
            SystemExit: images were skipped; all others are done.
        """
        rows = _rows(self.folder, self.fingerprint)
        columns = sorted({f"{c} {k}" for row in rows for c, v in row["areas"].items() for k in v})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", *columns])
        for row in rows:
            flat = {f"{c} {k}": v for c, values in row["areas"].items() for k, v in values.items()}
            writer.writerow([row["image"], *(flat.get(c, "") for c in columns)])
        write_text(self.folder / "areas.csv", text.getvalue())
        logger.info("%d images segmented in %s, %d skipped", len(rows), self.folder, len(self.faults))
        if self.faults:
            raise SystemExit("\n".join([f"{len(self.faults)} images were skipped:", *self.faults]))
        return {"images": len(rows)}


def _rows(folder: str | Path, fingerprint: str) -> list[dict[str, Any]]:
    """The areas of the images that were segmented with a fingerprint, by name."""
    rows = []
    for path in sorted(Path(folder).glob("*_areas.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            continue  # not ours, or damaged: the image is segmented again
        if isinstance(row, dict) and row.get("fingerprint") == fingerprint and "made_from" in row and "areas" in row:
            rows.append(row)
    return rows


def _state(path: str | Path) -> str:
    """Tells whether a file is still the one that it was."""
    stat = Path(path).stat()
    return f"{Path(path).absolute()}: {stat.st_size} bytes, {stat.st_mtime_ns} ns"
