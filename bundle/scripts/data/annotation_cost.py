"""What a dataset's annotation took as patch labels, and what it would have taken as outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from skimage.measure import label as connected_components
from tqdm import tqdm

from ..core.atomic import write_json
from ..core.facts import DatasetFacts, load_facts
from ..core.images import image_size, read_mask
from .datalist import read_datalist
from .tables import read_table

__all__ = ["AnnotationCost", "annotation_cost", "count_annotation", "measured_seconds", "outline_length"]


@dataclass(frozen=True)
class AnnotationCost:
    """Effort of annotating patches.

    Args:
        patches: patches with a label.
        answers: yes-or-no answers that their labels consist of, one per patch and class.
        tissues: of these the ones that say yes.
        pixels: pixels of all patches.
        outlined: patches with a true mask; the next two figures are about them alone.
        regions: 4-connected regions of one tissue.
        outline: length of the borders between regions in px, image borders not counted.
        mpp: µm/px, if known.
    """

    patches: int
    answers: int
    tissues: int
    pixels: int
    outlined: int
    regions: int
    outline: int
    mpp: float | None = None

    def rows(
        self, seconds_per_patch: float | None = None, seconds_per_mm: float | None = None
    ) -> list[tuple[str, str, float | int]]:
        """Table of effort: kind of annotation, unit, number.

        Args:
            seconds_per_patch: time to label a patch, as measured by the user.
            seconds_per_mm: time to draw a mm of outline, as measured by the user; needs ``mpp``.

        Raises:
            ValueError: a time per mm without ``mpp`` or without masks.
        """
        if seconds_per_mm is not None and not self.mpp:
            raise ValueError("seconds_per_mm needs the size of a pixel: the datalist has no mpp")
        if seconds_per_mm is not None and not self.outlined:
            raise ValueError("seconds_per_mm needs outlines: no training patch has a mask")
        rows: list[tuple[str, str, float | int]] = [
            ("patch labels", "patches", self.patches),
            ("patch labels", "yes/no answers", self.answers),
            ("patch labels", "tissues named", self.tissues),
            ("outlines", "pixels in these patches", self.pixels),
        ]
        if self.outlined:
            rows += [
                ("outlines", "patches with a true mask", self.outlined),
                ("outlines", "regions", self.regions),
                ("outlines", "outline in px", self.outline),
            ]
        millimetres = self.outline * self.mpp / 1000 if self.mpp else None
        if self.outlined and millimetres is not None:
            rows.append(("outlines", "outline in mm", round(millimetres, 1)))
        if seconds_per_patch is not None:
            rows.append(("patch labels", "hours", round(self.patches * seconds_per_patch / 3600, 2)))
        if seconds_per_mm is not None:
            # the masks at hand stand for all patches
            hours = millimetres * seconds_per_mm / 3600 * self.patches / self.outlined
            rows.append(("outlines", "hours", round(hours, 2)))
        return rows


def outline_length(mask: np.ndarray) -> int:
    """Number of pixel edges between different values of a label map ``(H, W)``."""
    return int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())


def count_annotation(entries: Sequence[Mapping[str, Any]], facts: DatasetFacts, progress: bool = False) -> AnnotationCost:
    """Count what the labels and masks of datalist entries amount to. Overlapping patches count each for itself."""
    pixels = outlined = regions = outline = 0
    for entry in tqdm(entries, desc="annotation cost", disable=not progress):
        height, width = image_size(entry["image"])
        pixels += height * width
        if entry.get("mask"):
            mask = read_mask(entry["mask"], facts.num_classes)
            outlined += 1
            outline += outline_length(mask)
            for k in range(facts.num_classes):
                regions += int(connected_components(mask == k, connectivity=1).max())
    return AnnotationCost(
        patches=len(entries),
        answers=len(entries) * facts.num_classes,
        tissues=sum(sum(entry["label"]) for entry in entries),
        pixels=pixels,
        outlined=outlined,
        regions=regions,
        outline=outline,
        mpp=facts.mpp,
    )


def measured_seconds(tables: Sequence[str | Path]) -> list[float]:
    """Seconds of each answer of tables that label pages gave; patches without a time, as those of other tables, have none.

    Raises:
        FileNotFoundError: no such table.
        ValueError: not a table, or a time that is none; the message names file and line.
    """
    found = []
    for path in tables:
        table = read_table(path, "image")
        columns = [k for k, name in enumerate(table.columns) if name.lower() == "seconds"]
        if not columns:
            raise ValueError(
                f"{path}: found columns {table.columns}, expected 'seconds' among them, as a label page exports it"
            )
        for line, cells in table.rows:
            if not cells[columns[0]]:
                continue
            try:
                seconds = float(cells[columns[0]].replace(",", "."))
            except ValueError:
                seconds = -1.0
            if not 0 <= seconds < float("inf"):
                raise ValueError(
                    f"{path}, line {line}, column 'seconds': found {cells[columns[0]][:80]!r}, expected seconds"
                )
            found.append(seconds)
    return found


def annotation_cost(
    dataset_dir: str | Path,
    output: str | Path | None = None,
    seconds_per_patch: float | None = None,
    seconds_per_mm: float | None = None,
    progress: bool = True,
    labels: str | Path | Sequence[str] | None = None,
) -> AnnotationCost:
    """Print the table of a prepared dataset's labelled patches, and write it as JSON where ``output`` names a file.

    Args:
        dataset_dir: the dataset.
        output: JSON file.
        seconds_per_patch: see :meth:`AnnotationCost.rows`, as ``seconds_per_mm``.
        seconds_per_mm: time to draw a mm of outline.
        progress: whether to show a progress bar.
        labels: table or tables that label pages gave: their seconds are the time that the labels took.

    Raises:
        FileNotFoundError: no such table.
        ValueError: the training section is empty, or a time cannot be used.
    """
    timed = [] if labels is None else measured_seconds([labels] if isinstance(labels, (str, Path)) else labels)
    entries = read_datalist(dataset_dir, "training")
    # groups that are held out have been labelled, too
    entries += [e for e in read_datalist(dataset_dir, "validation") if entries and e.get("label") is not None]
    if not entries:
        raise ValueError(f"{dataset_dir}: the datalist's training section is empty, expected patches with labels")
    cost = count_annotation(entries, load_facts(dataset_dir), progress)
    if timed and seconds_per_patch is None:
        seconds_per_patch = sum(timed) / len(timed)
    rows = cost.rows(seconds_per_patch, seconds_per_mm)
    if timed:
        rows += [
            ("as measured", "patches", len(timed)),
            ("as measured", "seconds per patch, median", round(median(timed), 1)),
            ("as measured", "minutes", round(sum(timed) / 60, 1)),
        ]
    width = max(len(unit) for _, unit, _ in rows)
    for kind, unit, number in rows:
        print(f"{kind:<12}  {unit:<{width}}  {number:>14,}")
    if output is not None:
        write_json(output, [{"annotation": kind, "unit": unit, "number": number} for kind, unit, number in rows])
    return cost
