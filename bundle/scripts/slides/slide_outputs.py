"""What is written for a slide once its labels are there: everything is made from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.atomic import discard_unfinished
from ..core.extras import extra
from ..core.facts import DatasetFacts
from .label_rows import LabelRows
from .label_tiff import write_label_tiff
from .qupath import write_qupath
from .slide_areas import slide_areas
from .slide_overlay import write_slide_overlay
from .slide_reading import Slide

__all__ = ["OUTPUTS", "check_outputs", "check_packages", "write_outputs"]

#: Ends of the names of what can be written, by the name of the output.
OUTPUTS = {
    "label_map": ".ome.tif",
    "geojson": ".geojson",
    "geojson.gz": ".geojson.gz",
    "overlay": "_overlay.jpg",
    "probabilities": ".zarr",
}
_NEEDS = {
    "geojson": ("rasterio.features", "shapely"),
    "geojson.gz": ("rasterio.features", "shapely"),
    "probabilities": ("zarr",),
}
_LONGEST = 2000  # px of the longer side of the overlay


def check_outputs(outputs: str | Sequence[str]) -> tuple[str, ...]:
    """Outputs as they are named: a sequence, or a text with commas.

    Raises:
        ValueError: an output that there is not.
    """
    names = outputs.split(",") if isinstance(outputs, str) else outputs
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"outputs: found {outputs!r}, expected some of {', '.join(OUTPUTS)}")
    names = tuple(dict.fromkeys(name.strip() for name in names))
    if unknown := [name for name in names if name not in OUTPUTS]:
        raise ValueError(f"outputs: found {unknown[0]!r}, expected some of {', '.join(OUTPUTS)}")
    return names


def check_packages(outputs: Sequence[str]) -> None:
    """See that the packages are there that outputs need.

    Raises:
        ValueError: one is missing.
    """
    for output in outputs:
        for module in _NEEDS.get(output, ()):
            extra(module)


def write_outputs(
    folder: Path,
    name: str,
    rows: LabelRows,
    slide: Slide,
    facts: DatasetFacts,
    mpp: tuple[float, float],
    outputs: Sequence[str] = tuple(OUTPUTS),
    simplify: float = 1.0,
) -> dict[str, Any]:
    """Write the outputs of a slide, each complete or not at all; probabilities are there before.

    Args:
        folder: where they go.
        name: of the slide in it.
        rows: all rows of its label map.
        slide: the slide, open.
        facts: classes and palette.
        mpp: µm/px (y, x) of the label map.
        outputs: some of :data:`OUTPUTS`.
        simplify: tolerance of the polygons, in px of the label map.

    Returns:
        ``areas``, ``tissue``, ``background``, ``not_segmented`` of :func:`~.slide_areas.slide_areas`, ``outputs``: names of
        the files, and the numbers of ``polygons`` and their ``corners``.

    Raises:
        OSError: one of them cannot be written.
    """
    scale = (mpp[0] / slide.mpp[0], mpp[1] / slide.mpp[1])
    result: dict[str, Any] = slide_areas(rows, facts, mpp)

    def label_map(path: Path) -> None:
        write_label_tiff(path, rows, facts, mpp, {"slide": name, "corner": slide.bounds[:2], "scale": scale})

    def geojson(path: Path) -> None:
        result.update(write_qupath(path, rows, facts, mpp, scale, simplify=simplify, name=name))

    def picture(path: Path) -> None:
        thumbnail, downsample = slide.thumbnail(_LONGEST)
        write_slide_overlay(path, thumbnail, downsample, rows, facts, slide.mpp, scale)

    writers: dict[str, Callable[[Path], None]] = {
        "label_map": label_map, "geojson": geojson, "geojson.gz": geojson, "overlay": picture,
    }  # fmt: skip
    for output in outputs:
        if output in writers:
            path = folder / f"{name}{OUTPUTS[output]}"
            discard_unfinished(path)  # of a killed process
            writers[output](path)
    return {**result, "outputs": [f"{name}{OUTPUTS[output]}" for output in outputs]}
