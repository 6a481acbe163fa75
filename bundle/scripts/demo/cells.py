"""Nuclei of the demo's tissue: placed without overlap, then drawn with a membrane, chromatin and soft edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Nuclei", "place", "stamp"]

_ANGLES = 12


@dataclass
class Nuclei:
    """Nuclei, one array element each.

    Args:
        y, x: centres in px.
        major, minor: semi-axes in px.
        angle: direction of the major axis in rad, from the x axis towards the y axis.
        dark: concentration of haematoxylin.
        vesicular: 0 for even chromatin, 1 for a clear nucleus with a dark membrane.
        bend: curvature of the major axis in 1/px.
    """

    y: np.ndarray
    x: np.ndarray
    major: np.ndarray
    minor: np.ndarray
    angle: np.ndarray
    dark: np.ndarray
    vesicular: np.ndarray
    bend: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


def _ellipse(major: float, minor: float, angle: float, radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    return (u / major) ** 2 + (v / minor) ** 2 <= 1


def place(
    rng: np.random.Generator,
    occupied: np.ndarray,
    density: np.ndarray,
    room: tuple[float, float],
    angle: np.ndarray | None = None,
    rank: np.ndarray | None = None,
    tries: float = 3.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Throw darts: positions drawn from a density, kept where no earlier one lies too near.

    Args:
        rng: source of randomness.
        occupied: ``(H, W)`` bool, places taken; those of the new positions are added in place.
        density: ``(H, W)`` in 0..1, chance that a dart is thrown.
        room: semi-axes in px of the ellipse that a position keeps free of other centres.
        angle: ``(H, W)`` direction of that ellipse in rad; random where absent.
        rank: ``(H, W)``; darts of low rank are thrown first. Random order where absent.
        tries: darts per ellipse area.

    Returns:
        y, x (int64, in px) and angle (float, in rad), each ``(N,)``.
    """
    height, width = density.shape
    count = int(tries * density.size / (np.pi * room[0] * room[1]))
    y, x = rng.integers(0, height, count), rng.integers(0, width, count)
    keep = rng.random(count) < density[y, x]
    y, x = y[keep], x[keep]
    theta = rng.uniform(0, np.pi, len(y)) if angle is None else angle[y, x]
    if rank is not None:
        order = np.argsort(rank[y, x], kind="stable")
        y, x, theta = y[order], x[order], theta[order]
    radius = int(np.ceil(max(room)))
    stamps = [_ellipse(*room, k * np.pi / _ANGLES, radius) for k in range(_ANGLES)]
    sector = np.rint(theta / np.pi * _ANGLES).astype(int) % _ANGLES
    taken = np.pad(occupied, radius)
    kept = []
    span = 2 * radius + 1
    for k, (i, j, s) in enumerate(zip(y.tolist(), x.tolist(), sector.tolist(), strict=True)):
        if not taken[i + radius, j + radius]:
            taken[i : i + span, j : j + span] |= stamps[s]
            kept.append(k)
    occupied |= taken[radius : radius + height, radius : radius + width]
    kept = np.array(kept, dtype=np.int64)
    return y[kept], x[kept], theta[kept]


def stamp(rng: np.random.Generator, nuclei: Nuclei, chromatin: np.ndarray, body: np.ndarray, block: int = 2000) -> None:
    """Draw nuclei onto canvases; where they overlap, the larger value stays.

    Args:
        rng: source of the shapes' irregularity.
        nuclei: what to draw.
        chromatin: ``(H, W)`` float32 haematoxylin, changed in place.
        body: ``(H, W)`` float32 coverage in 0..1, changed in place.
        block: nuclei drawn at once, which bounds the memory.
    """
    if not len(nuclei):
        return
    height, width = chromatin.shape
    radius = int(np.ceil(float(nuclei.major.max()) * 1.2)) + 1
    offset = np.arange(-radius, radius + 1, dtype=np.float32)
    for start in range(0, len(nuclei), block):
        part = slice(start, start + block)
        n = len(nuclei.y[part])

        def column(values: np.ndarray) -> np.ndarray:
            return np.asarray(values, np.float32)[part, None, None]  # noqa: B023 (used within the loop only)

        shift = rng.uniform(-0.5, 0.5, (2, n, 1, 1)).astype(np.float32)
        dy, dx = offset[None, :, None] + shift[0], offset[None, None, :] + shift[1]
        cos, sin = np.cos(column(nuclei.angle)), np.sin(column(nuclei.angle))
        major, minor = column(nuclei.major), column(nuclei.minor)
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        v = (v + column(nuclei.bend) * u * u) / minor
        u = u / major
        # outline: an ellipse whose radius varies by second and third harmonics of the direction
        square = u * u + v * v + 1e-6
        wobble = rng.normal(0, (0.07, 0.07, 0.03, 0.03), (n, 4)).astype(np.float32).T[..., None, None]
        harmonic = (wobble[0] * (u * u - v * v) + wobble[1] * 2 * u * v) / square
        harmonic += (wobble[2] * u * (u * u - 3 * v * v) + wobble[3] * v * (3 * u * u - v * v)) / square**1.5
        r = np.sqrt(square) * (1 + harmonic)
        cover = np.clip((1 - r) * np.minimum(minor, 3) / 1.3 + 0.5, 0, 1)
        vesicular = column(nuclei.vesicular)
        membrane = np.exp(-(((r - 0.85) / 0.2) ** 2))
        spot = rng.uniform(-0.35, 0.35, (2, n, 1, 1)).astype(np.float32)
        nucleolus = np.exp(-((u - spot[0]) ** 2 * major**2 + (v - spot[1]) ** 2 * minor**2) / 1.1)
        stain = 1 - vesicular * (0.55 - 0.5 * membrane - 0.75 * nucleolus)
        value = column(nuclei.dark) * cover * stain
        i = (nuclei.y[part, None, None] + np.arange(-radius, radius + 1)[None, :, None]) + 0 * dx.astype(np.int64)
        j = (nuclei.x[part, None, None] + np.arange(-radius, radius + 1)[None, None, :]) + 0 * dy.astype(np.int64)
        ok = (cover > 0) & (i >= 0) & (i < height) & (j >= 0) & (j < width)
        at = i[ok] * width + j[ok]
        np.maximum.at(chromatin.reshape(-1), at, value[ok])
        np.maximum.at(body.reshape(-1), at, cover[ok])
