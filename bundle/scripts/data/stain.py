"""Stain model of brightfield microscopy: the Beer-Lambert law, stains that vary from slide to slide, and the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["Stain", "beer_lambert", "draw_stain", "photograph"]

# Optical density vectors (red, green, blue) between which slides are drawn. The first of each pair follows Ruifrok and
# Johnston (2001), the second Macenko et al. (2009); eosin's are pulled together, as pure eosin is seen in neither.
_HAEMATOXYLIN = ((0.66, 0.69, 0.29), (0.55, 0.74, 0.38))
_EOSIN = ((0.19, 0.91, 0.37), (0.14, 0.83, 0.54))
_BLOOD = (0.06, 0.78, 0.62)


@dataclass(frozen=True)
class Stain:
    """How one slide is stained and lit.

    Args:
        vectors: ``(S, 3)`` optical density per unit of concentration; rows of unit length (haematoxylin, eosin, blood).
        white: ``(3,)`` intensity of clear glass in 0..255.
        blur: standard deviation of the optics' point spread in px.
        noise: standard deviation of the sensor's noise in grey levels.
    """

    vectors: np.ndarray
    white: np.ndarray
    blur: float = 0.6
    noise: float = 1.5


def draw_stain(rng: np.random.Generator, variation: float = 1.0) -> Stain:
    """Draw a slide's stain.

    Args:
        rng: source of randomness.
        variation: 0 gives every slide the mean stain; 1 varies it as between laboratories.
    """

    def between(pair: tuple, spread: float) -> np.ndarray:
        share = 0.5 + variation * rng.uniform(-0.5, 0.5)
        vector = (1 - share) * np.array(pair[0]) + share * np.array(pair[1])
        vector = np.clip(vector + variation * rng.normal(0, spread, 3), 0.02, None)
        return vector / np.linalg.norm(vector)

    blood = np.array(_BLOOD) / np.linalg.norm(_BLOOD)
    vectors = np.stack([between(_HAEMATOXYLIN, 0.015), between(_EOSIN, 0.02), blood])
    white = np.array([241.0, 240.0, 244.0]) + variation * (rng.uniform(-5, 5) + rng.uniform(-2, 2, 3))
    return Stain(vectors, white, 0.55 + variation * rng.uniform(-0.1, 0.15), 1.5 + variation * rng.uniform(-0.5, 1.0))


def beer_lambert(concentration: np.ndarray, vectors: np.ndarray, white: np.ndarray | float = 255.0) -> np.ndarray:
    """Light that a stained section lets through: ``white * exp(-concentration . vectors)``.

    Args:
        concentration: ``(S, H, W)`` of each stain, at least 0, in units of optical density (natural logarithm).
        vectors: ``(S, 3)`` optical density (red, green, blue) of one unit of each stain.
        white: intensity of clear glass, one number or ``(3,)``.

    Returns:
        ``(H, W, 3)`` float32 intensities, 0 < value <= ``white``.
    """
    density = np.tensordot(concentration, np.asarray(vectors, concentration.dtype), axes=(0, 0))
    return np.asarray(white, np.float32) * np.exp(-density.astype(np.float32, copy=False))


def photograph(intensity: np.ndarray, stain: Stain, rng: np.random.Generator) -> np.ndarray:
    """What the scanner makes of the light: optical blur, sensor noise, and colour coarser than brightness as in a JPEG.

    Args:
        intensity: ``(H, W, 3)`` float in 0..255.
        stain: gives blur and noise.
        rng: source of the noise.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    image = np.stack([gaussian_filter(intensity[..., k], stain.blur) for k in range(3)])
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(stain.noise)
    green = image[1].copy()  # carries nearly all of H&E's contrast, so it stands for brightness
    for k in (0, 2):
        image[k] = green + gaussian_filter(image[k] - green, 0.8)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()
