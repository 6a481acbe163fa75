"""Where the demo's tissues lie: smooth random regions, glands with lumens, tears in the section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import label as connected_components

__all__ = ["LYM", "NEC", "TAS", "TE", "WHITE", "Layout", "draw_layout", "open_spaces", "ramp", "resize", "smooth_noise"]

TE, NEC, LYM, TAS, WHITE = range(5)


@dataclass
class Layout:
    """Maps of one slide, all ``(H, W)``.

    Args:
        mask: uint8 class, as an annotator would draw it; 4 is white.
        weights: ``(4, H, W)`` float32, how much each tissue shows, summing to 1; soft where regions meet.
        depth: float32 distance in px from the edge of the epithelium, positive inside.
        thickness: float32 thickness in px of the epithelium between the edge of its gland and the lumen.
        hollow: float32, 1 in glands with a lumen and 0 in solid nests.
        tone: float32 per-gland random number of unit variance (staining of the cytoplasm).
        hole: float32, about the distance in px from the edge of a lumen, positive inside.
    """

    mask: np.ndarray
    weights: np.ndarray
    depth: np.ndarray
    thickness: np.ndarray
    hollow: np.ndarray
    tone: np.ndarray
    hole: np.ndarray


def resize(field: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """Resample a float32 ``(h, w)`` field, or its part ``box`` (left, top, right, bottom), to ``size``, (H, W)."""
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """Gaussian random field of mean 0, variance about 1 and a correlation length of about ``scale`` px.

    Returns:
        ``(H, W)`` float32.
    """
    if scale < 3:
        noise = gaussian_filter(rng.standard_normal(size, dtype=np.float32), scale)
        return noise * np.float32(2 * np.sqrt(np.pi) * scale)
    # coarse fields are drawn coarsely: one sample per `scale`, smoothed, then interpolated, borders left out
    cells = [int(np.ceil(n / scale)) + 6 for n in size]
    coarse = gaussian_filter(rng.standard_normal(cells, dtype=np.float32), 1.0, mode="wrap")
    top, left = rng.uniform(2, 3, 2)
    box = (left, top, left + size[1] / scale, top + size[0] / scale)
    return resize(coarse, size, box=box) * np.float32(2 * np.sqrt(np.pi))


def ramp(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high`` (which may be the smaller)."""
    step = np.clip((field - low) / (high - low), 0, 1)
    return step * step * (3 - 2 * step)


def _glands(rng: np.random.Generator, size: tuple[int, int], spacing: float, step: int) -> tuple[np.ndarray, ...]:
    """Cut the plane into gland-sized cells with wavy borders.

    Returns:
        ``(K, 2)`` centres in px, ``(h, w)`` index of the cell, ``(h, w)`` distance in px to the border between cells.
    """
    rows, columns = (int(np.ceil(n / spacing)) + 4 for n in size)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).astype(np.float64) - 1.5
    grid[::2, :, 1] += 0.5
    centres = (grid.reshape(-1, 2) + rng.uniform(-0.36, 0.36, (rows * columns, 2))) * spacing
    points = np.stack(np.meshgrid(*(np.arange(0, n, step) for n in size), indexing="ij"), -1).astype(np.float64)
    for axis in (0, 1):
        for scale, amount in ((26, 9.0), (9, 2.6)):
            points[..., axis] += amount * smooth_noise(rng, points.shape[:2], scale / step)
    distance, index = cKDTree(centres).query(points.reshape(-1, 2), k=2)
    apart = np.linalg.norm(centres[index[:, 0]] - centres[index[:, 1]], axis=1)
    border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    return centres, index[:, 0].reshape(points.shape[:2]), border.reshape(points.shape[:2]).astype(np.float32)


def _potentials(
    rng: np.random.Generator, size: tuple[int, int], step: int, region: float, centres: np.ndarray, gland: np.ndarray
) -> np.ndarray:
    """One field per tissue, biased so that the share of pixels in which each is largest is as drawn; ``(4, h, w)``."""
    field = np.stack(
        [
            smooth_noise(rng, size, region / step)
            + 0.22 * smooth_noise(rng, size, 20 / step)
            + 0.08 * smooth_noise(rng, size, 7 / step)
            for _ in range(4)
        ]
    )
    # epithelium comes in whole glands
    at = np.clip((centres / step).astype(int), 0, np.array(size) - 1)
    field[TE] = 0.3 * field[TE] + 0.7 * field[TE][at[:, 0], at[:, 1]][gland]
    target = 0.04 + (1 - 4 * 0.04) * rng.dirichlet((1.2, 0.6, 0.7, 0.9))  # some slides are nearly of one tissue
    sample = field[:, ::3, ::3].copy()
    bias = np.zeros((4, 1, 1), np.float32)
    for _ in range(25):
        share = np.bincount((sample + bias).argmax(0).ravel(), minlength=4) / sample[0].size
        bias[:, 0, 0] += 0.4 * np.log(target / np.maximum(share, 0.01))
    return field + bias


def _drop_small(binary: np.ndarray, smallest: int) -> np.ndarray:
    components = connected_components(binary, connectivity=1)
    keep = np.bincount(components.ravel()) >= smallest
    keep[0] = False
    return keep[components]


def draw_layout(rng: np.random.Generator, size: tuple[int, int], region: float = 62.0) -> Layout:
    """Lay out one slide.

    Args:
        rng: source of randomness.
        size: (H, W) in px.
        region: correlation length of the regions in px.
    """
    step = 2  # coarse maps at half size: they are smooth, and four times as quick
    small = tuple(-(-n // step) for n in size)
    spacing = rng.uniform(46, 78)
    centres, gland, border = _glands(rng, size, spacing, step)
    potential = _potentials(rng, small, step, region, centres, gland)
    tissue = potential.argmax(0)

    # strands of stroma part the glands; wide strands are stroma in the mask too, thin ones an annotator ignores
    gap = 2.6 + 2.8 * smooth_noise(rng, small, 34 / step) + rng.uniform(-1, 1)
    epithelium = (tissue == TE) & (border > gap)
    sides = [
        distance_transform_edt(side) if side.any() and not side.all() else side * 99.0 for side in (epithelium, ~epithelium)
    ]
    depth = step * (sides[0] - sides[1]).astype(np.float32)
    depth = resize(gaussian_filter(depth, 0.8), size) + 0.7 * smooth_noise(rng, size, 2.5)

    count = len(centres)
    thickness = np.clip(rng.normal(rng.uniform(12.5, 17), 2.5, count), 10, 24)
    hollow = (rng.random(count) < rng.uniform(0.5, 0.95)).astype(np.float32)
    tone = rng.normal(0, 1, count)
    maps = [resize(gaussian_filter(v[gland].astype(np.float32), 1.5), size) for v in (thickness, tone)]
    thickness, tone = maps[0] + 1.6 * smooth_noise(rng, size, 5), maps[1]
    hollow = np.clip(resize(gaussian_filter(hollow[gland], 1.0), size), 0, 1)

    # tissue that is not epithelium; softness differs from place to place
    others = np.stack([resize(p, size) for p in potential[1:]])
    others += 0.05 * np.stack([smooth_noise(rng, size, 4) for _ in range(3)])
    rest = others.argmax(0).astype(np.uint8) + 1
    soft = np.exp((others - others.max(0)) / 0.14)
    soft /= soft.sum(0)
    te = ramp(depth, -1.2, 1.2)
    within = np.clip(resize(tissue == TE, size), 0, 1)  # strands between glands are stroma, whatever lies outside
    soft *= 1 - within
    soft[TAS - 1] += within
    weights = np.concatenate([te[None], soft * (1 - te)]).astype(np.float32)
    mask = np.where(depth > 0, TE, np.where(within > 0.5, np.where(depth > -5, TE, TAS), rest)).astype(np.uint8)

    hole = np.minimum(depth - thickness - 40 * (1 - hollow), depth) + 0.5 * smooth_noise(rng, size, 2)
    return Layout(mask, weights, depth, thickness, hollow, tone.astype(np.float32), hole)


def open_spaces(layout: Layout, tear: np.ndarray, share: float) -> np.ndarray:
    """Cut lumens, and tears beside the epithelium, out of the tissue; the mask is white there, in place.

    Args:
        layout: what :func:`draw_layout` returned.
        tear: ``(H, W)`` of about unit variance; tissue tears where it is largest.
        share: share of the tissue outside the epithelium that tears.

    Returns:
        ``(H, W)`` float32 in 0..1, share of a pixel that is bare glass.
    """
    outside = layout.depth < 1.5
    hole = layout.hole.copy()
    if outside.any():
        hole[outside] = np.maximum(hole, (tear - np.quantile(tear[outside], 1 - share)) * 7)[outside]
    white = _drop_small(hole > 0, 60)
    glass = ramp(hole, -0.9, 0.9)
    glass[white] = np.maximum(glass[white], 0.5)
    glass[~white & (hole > 0)] = 0  # too small to be more than a pale spot
    layout.mask[white] = WHITE
    return glass.astype(np.float32)
