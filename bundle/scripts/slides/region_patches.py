"""Which patches of a slide its annotations label, and as what."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..core.extras import extra
from .regions import NOT_SAID, Area, Regions

__all__ = ["Labelled", "PatchRule", "label_patches"]

_CELLS = 32  # a patch is looked at in this many cells along its smaller side, or a few more
_AT_ONCE = 2**25  # cells
_NO_TISSUE = 0.01  # share of a patch below which it shows none, whatever is said of it


class Tissue(Protocol):
    """Where the slide is tissue, in pixels of the patches."""

    def rows(self, top: int, height: int) -> np.ndarray:
        """``(height, W)`` bool."""


@dataclass(frozen=True)
class PatchRule:
    """Which patches are cut, and when their label is known.

    Args:
        mpp: µm/px of the patches.
        size: (height, width) in px.
        stride: step between patches in regions.
        label_threshold: a class is in the label of a patch if it fills more than this share of it.
        min_cover: share of a patch's tissue that regions must cover: what they do not name is then absent.
        min_tissue: share of a patch that must be tissue.
        unnamed: ``"unknown"``, or ``"absent"``: what no region names is absent, however little of the patch they cover.
    """

    mpp: float
    size: tuple[int, int]
    stride: int
    label_threshold: float = 0.05
    min_cover: float = 0.95
    min_tissue: float = 0.25
    unnamed: str = "unknown"


@dataclass
class Labelled:
    """Patches of a slide.

    Args:
        patches: the classes that each shows, by its (top, left) in px.
        left_out: how many are left out, by the reason.
    """

    patches: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def label_patches(
    regions: Regions,
    tissue: Tissue,
    grid: tuple[int, int],
    pixel: tuple[float, float],
    rule: PatchRule,
    num_classes: int,
    white: Callable[[int, int], np.ndarray] | None = None,
) -> Labelled:
    """Label the patches of a slide.

    A patch that an annotation describes as a whole lies around its middle, moved into the slide at the edge, and has the
    classes that the annotation lists. Within regions, patches lie on a grid from the slide's corner; they have the classes
    that fill more than the threshold, if the regions cover the patch's tissue.

    Args:
        regions: annotations of the slide.
        tissue: its tissue.
        grid: (H, W) of the slide in px of the patches.
        pixel: px of level 0 (y, x) that one of them is.
        rule: which patches.
        num_classes: number of classes.
        white: where white is a background of its own: ``(height, width)`` bool, white pixels of the patch at (top, left),
            which no region need cover. It is asked only of patches whose label depends on it.
    """
    found = Labelled()
    if any(side > whole for side, whole in zip(rule.size, grid, strict=True)):
        found.left_out["larger than the slide"] = len(regions.told) + len(regions.areas)
        return found
    for y, x, classes in regions.told:
        middle = y / pixel[0], x / pixel[1]
        top, left = (
            min(max(0, round(place - side / 2)), whole - side)
            for place, side, whole in zip(middle, rule.size, grid, strict=True)
        )
        if tissue.rows(top, rule.size[0])[:, left : left + rule.size[1]].mean() < _NO_TISSUE:
            found.leave_out("without tissue, though described")
        else:
            known = found.patches.get((top, left), ())
            found.patches[top, left] = tuple(sorted({*known, *classes}))
    for place, tissue_here, values in _looked_at(regions.areas, tissue, grid, pixel, rule):
        if place in found.patches:
            continue
        known = values[tissue_here]
        counts = np.bincount(known[known != NOT_SAID], minlength=num_classes)
        if not counts.any():
            continue  # nothing is said of it
        if tissue_here.mean() < rule.min_tissue:
            found.leave_out("with too little tissue")
        elif rule.unnamed == "unknown" and not _covered(place, tissue_here, values, rule, white):
            found.leave_out("not covered by regions")
        elif not (shown := np.flatnonzero(counts > rule.label_threshold * values.size)).size:
            found.leave_out("in which no class reaches label_threshold")
        else:
            found.patches[place] = tuple(shown.tolist())
    return found


def _covered(
    place: tuple[int, int],
    tissue: np.ndarray,
    values: np.ndarray,
    rule: PatchRule,
    white: Callable[[int, int], np.ndarray] | None,
) -> bool:
    """Whether regions cover a patch's tissue."""
    if np.mean(values[tissue] != NOT_SAID) >= rule.min_cover:
        return True
    if white is None:
        return False
    cell = _cell(rule)
    left = tissue & ~white(*place)[cell // 2 :: cell, cell // 2 :: cell]
    return bool(left.any() and np.mean(values[left] != NOT_SAID) >= rule.min_cover)


def _looked_at(
    areas: Sequence[Area], tissue: Tissue, grid: tuple[int, int], pixel: tuple[float, float], rule: PatchRule
) -> Iterator[tuple[tuple[int, int], np.ndarray, np.ndarray]]:
    """Each patch of the grid that a region's box meets: its place; whether its cells are tissue; their values."""
    named = [area for area in areas if area.value != NOT_SAID]
    if not named:
        return
    cell = _cell(rule)
    boxes = np.array([area.box for area in named]) / [*pixel, *pixel]
    first, last = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    tops, lefts = (
        [p for p in range(0, whole - side + 1, rule.stride) if p + side > low and p < high]
        for whole, side, low, high in zip(grid, rule.size, first, last, strict=True)
    )
    if not tops or not lefts:
        return
    height, width = (math.ceil(side / cell) for side in rule.size)
    wide = (lefts[-1] - lefts[0]) // cell + width
    at_once = max(1, (_AT_ONCE // wide - height) * cell // rule.stride)
    for start in range(0, len(tops), at_once):
        some = tops[start : start + at_once]
        corner = some[0], lefts[0]
        values = _drawn(areas, corner, ((some[-1] - some[0]) // cell + height, wide), cell, pixel)
        for top in some:
            rows = tissue.rows(top, rule.size[0])[cell // 2 :: cell]
            down = (top - corner[0]) // cell
            for left in lefts:
                right = (left - corner[1]) // cell
                block = values[down : down + height, right : right + width]
                if (block != NOT_SAID).any():
                    is_tissue = rows[:, left + cell // 2 : left + rule.size[1] : cell]
                    yield (top, left), is_tissue, block[: is_tissue.shape[0], : is_tissue.shape[1]]


def _cell(rule: PatchRule) -> int:
    """Side of a cell in px: patches and steps are whole numbers of them, if they have a common divisor."""
    common, most = math.gcd(*rule.size, rule.stride), max(1, min(rule.size) // _CELLS)
    return next(k for k in range(most, 0, -1) if common % k == 0)


def _drawn(
    areas: Sequence[Area], corner: tuple[int, int], size: tuple[int, int], cell: int, pixel: tuple[float, float]
) -> np.ndarray:
    """Values of cells, by what lies at their middle, of a box of the grid whose corner is given in px."""
    features, affine = extra("rasterio.features"), extra("affine")
    step_y, step_x = cell * pixel[0], cell * pixel[1]
    top, left = corner[0] * pixel[0], corner[1] * pixel[1]
    bottom, right = top + size[0] * step_y, left + size[1] * step_x
    here = [
        (area.shape, area.value)
        for area in areas
        if area.box[0] < bottom and area.box[2] > top and area.box[1] < right and area.box[3] > left
    ]
    if not here:
        return np.full(size, NOT_SAID, np.uint8)
    transform = affine.Affine(step_x, 0, left, 0, step_y, top)
    return features.rasterize(here, size, fill=NOT_SAID, transform=transform, dtype="uint8")
