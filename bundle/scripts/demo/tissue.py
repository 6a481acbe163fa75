"""Draws tissue that looks stained with haematoxylin and eosin, and the mask that goes with it: no data, no download."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from ..data.stain import beer_lambert, draw_stain, photograph
from .cells import Nuclei, place, stamp
from .layout import LYM, NEC, TAS, TE, Layout, draw_layout, open_spaces, ramp, smooth_noise

__all__ = ["draw_tissue"]


def _direction(field: np.ndarray) -> np.ndarray:
    """Direction in rad in which a ``(H, W)`` field rises."""
    smooth = gaussian_filter(field, 1.5)
    return np.arctan2(*np.gradient(smooth))


def _fibres(rng: np.random.Generator, layout: Layout) -> tuple[np.ndarray, ...]:
    """Wavy fibres of the stroma, that run around glands.

    Fibres are contour lines of a random terrain `across`; a texture that is long in `along` and short in `across` is
    looked up there.

    Returns:
        ``(H, W)`` eosin, ``(H, W)`` looseness in 0..1, ``(H, W)`` direction of the fibres in rad, and ``(H, W)``
        field that is large where the tissue tears.
    """
    size = layout.mask.shape
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    theta = rng.uniform(0, np.pi)
    along = np.cos(theta) * x + np.sin(theta) * y + 40 * smooth_noise(rng, size, 60)
    across = np.cos(theta) * y - np.sin(theta) * x
    across += 48 * smooth_noise(rng, size, 62) + 9 * smooth_noise(rng, size, 18)
    across += 20 * np.exp(np.minimum(layout.depth, 0) / 10)
    crimp = np.clip(smooth_noise(rng, size, 45) + rng.uniform(-1.0, 0.6), 0, 1.5) * rng.uniform(1.0, 2.4)
    across += crimp * np.sin(along * (2 * np.pi / rng.uniform(13, 22)) + 2.0 * smooth_noise(rng, size, 30))

    texture = gaussian_filter(rng.standard_normal((512, 128), dtype=np.float32), (0.9, 0.7), mode="wrap")
    texture /= texture.std()
    fine = map_coordinates(texture, [across, along / 13], order=1, mode="grid-wrap")
    bundle = map_coordinates(texture, [across / 3.4 + 77, along / 36], order=1, mode="grid-wrap")
    loose = ramp(smooth_noise(rng, size, 40) + rng.uniform(-1.0, 0.7), -0.6, 1.0)
    gap = ramp(0.75 * bundle + 0.55 * fine, 0.5, -0.5)
    # tissue tears between bundles
    tear = smooth_noise(rng, size, 28) + 0.30 * smooth_noise(rng, size, 5) + 0.12 * smooth_noise(rng, size, 2)
    split = np.where(layout.weights[TAS] > 0.5, -0.75 * bundle, 0.5 * smooth_noise(rng, size, 9))
    tear = tear + gaussian_filter(split, 1.2) - 0.8 * layout.weights[LYM]
    eosin = (0.68 + 0.11 * bundle + 0.11 * fine) * (1 - 0.72 * loose * gap)
    return np.maximum(eosin, 0.26), loose, _direction(across) + np.pi / 2, tear


def _pick(rng: np.random.Generator, at: tuple[np.ndarray, ...], **ranges: tuple[float, float]) -> Nuclei:
    """Nuclei at (y, x, angle) with properties drawn uniformly; ``minor`` is given as a share of ``major``."""
    y, x, angle = at
    drawn = {name: rng.uniform(*bounds, len(y)) for name, bounds in ranges.items()}
    drawn["minor"] = drawn["minor"] * drawn["major"]
    drawn.setdefault("bend", np.zeros(len(y)))
    return Nuclei(y=y, x=x, angle=angle, **drawn)


def _tumour(rng: np.random.Generator, layout: Layout, tissue: np.ndarray, taken: np.ndarray) -> Nuclei:
    """Tumour nuclei: a first row on the edge of the gland, side by side; later ones crowd behind it."""
    size, depth = tissue.shape, layout.depth
    large = rng.uniform(3.9, 4.8)
    vesicular = rng.uniform(0.35, 0.95)
    dark = rng.uniform(0.85, 1.25) * (1.25 - 0.35 * vesicular)
    basal = np.abs(depth - (2.0 + large * rng.uniform(0.8, 1.2)) - 1.5 * smooth_noise(rng, size, 9))
    rank = basal + rng.uniform(0, rng.uniform(0.5, 4), size)
    apical = ramp(layout.thickness - depth, 1.0, 7.0) * layout.hollow + (1 - layout.hollow)
    density = tissue * (depth > 1.8) * (0.35 + 0.65 * ramp(basal, 6.0, 2.0)) * np.clip(apical, 0.04, 1)
    swirl = _direction(depth) + 0.9 * smooth_noise(rng, size, 6) * (1.2 - layout.hollow)
    room = (large * rng.uniform(1.35, 1.65), large * rng.uniform(1.1, 1.38))
    nuclei = _pick(
        rng,
        place(rng, taken, density, room, swirl, rank, tries=5),
        major=(large * 0.85, large * 1.2),
        minor=(0.62, 0.92),
        dark=(dark * 0.7, dark * 1.25),
        vesicular=(vesicular * 0.5, vesicular),
    )
    nuclei.angle = nuclei.angle + rng.normal(0, 0.25, len(nuclei))
    return nuclei


def _lymphocytes(rng: np.random.Generator, layout: Layout, tissue: np.ndarray, taken: np.ndarray) -> Nuclei:
    """Lymphocytes: crowded in their clusters, strays in the stroma nearby and a few within the tumour."""
    weights, size = layout.weights, tissue.shape
    stray = 0.10 * ramp(smooth_noise(rng, size, 30) + rng.uniform(-0.6, 0.5), 0.3, 1.5)
    crowd = ramp(smooth_noise(rng, size, 22), -2.2, -0.2)
    density = weights[LYM] * (0.35 + 0.65 * crowd) + stray * weights[TAS] + 0.006 * weights[TE] + 0.012 * weights[NEC]
    small = rng.uniform(2.3, 2.8)
    at = place(rng, taken, tissue * density, (small * 2.0, small * 1.8), tries=4)
    return _pick(rng, at, major=(small * 0.9, small * 1.2), minor=(0.8, 1.0), dark=(1.25, 2.0), vesicular=(0.0, 0.45))


def _fibroblasts(
    rng: np.random.Generator, density: np.ndarray, fibre: np.ndarray, taken: np.ndarray
) -> tuple[Nuclei, Nuclei]:
    """Spindle nuclei along the fibres: slender ones, and plump ones."""
    at = place(rng, taken, 0.75 * density, (10, 4.2), fibre)
    slender = _pick(rng, at, major=(4.5, 8.5), minor=(0.18, 0.32), dark=(0.8, 1.6), vesicular=(0, 0.2), bend=(-0.035, 0.035))
    at = place(rng, taken, 0.25 * density, (10, 4.2), fibre)
    plump = _pick(rng, at, major=(3.6, 5.2), minor=(0.4, 0.62), dark=(0.8, 1.6), vesicular=(0, 0.8), bend=(-0.02, 0.02))
    return slender, plump


def _necrotic(rng: np.random.Generator, density: np.ndarray, taken: np.ndarray) -> tuple[Nuclei, Nuclei]:
    """What is left of nuclei in necrosis: ghosts that hardly stain, and dust."""
    clump = ramp(smooth_noise(rng, density.shape, 13), -0.3, 2.0)
    at = place(rng, taken, 0.5 * density, (6.5, 5.5))
    ghosts = _pick(rng, at, major=(2.6, 4.4), minor=(0.6, 0.95), dark=(0.06, 0.42), vesicular=(0.0, 0.6))
    at = place(rng, np.zeros_like(taken), density * (0.08 + 0.8 * clump), (2.2, 2.0), tries=1.6)
    dust = _pick(rng, at, major=(0.6, 1.7), minor=(0.6, 1.0), dark=(0.3, 1.5), vesicular=(0, 0))
    return ghosts, dust


def _erythrocytes(rng: np.random.Generator, density: np.ndarray, taken: np.ndarray) -> Nuclei:
    """Red cells, heaped in capillaries of the stroma; `dark` is haemoglobin."""
    heap = ramp(smooth_noise(rng, density.shape, 16), 2.0, 2.6) * rng.uniform(0.0, 1.0)
    at = place(rng, taken, density * heap, (4.6, 4.0), tries=4)
    return _pick(rng, at, major=(2.4, 3.0), minor=(0.75, 1.0), dark=(0.5, 0.9), vesicular=(0.0, 0.25))


def _cells(
    rng: np.random.Generator, layout: Layout, glass: np.ndarray, fibre: np.ndarray, loose: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Place and draw all cells.

    Returns:
        ``(H, W)`` haematoxylin of nuclei, ``(H, W)`` coverage by nuclei, ``(H, W)`` haemoglobin, and ``(h, w)`` number
        of the nearest tumour cell or ghost, at half size.
    """
    size, weights = layout.mask.shape, layout.weights
    tissue, taken = glass < 0.35, glass >= 0.6
    chromatin, body, blood = (np.zeros(size, np.float32) for _ in range(3))

    tumour = _tumour(rng, layout, tissue, taken)
    lymphocytes = _lymphocytes(rng, layout, tissue, taken)
    cellular = 0.16 + 0.7 * ramp(smooth_noise(rng, size, 35) + rng.uniform(-0.8, 0.5), -0.6, 1.6)
    spindle = weights[TAS] * cellular * (1 - 0.3 * loose) + 0.05 * weights[LYM]
    slender, plump = _fibroblasts(rng, tissue * spindle, fibre, taken)
    ghosts, dust = _necrotic(rng, tissue * weights[NEC], taken)
    for nuclei in (tumour, lymphocytes, slender, plump, ghosts, dust):
        stamp(rng, nuclei, chromatin, body)
    stamp(rng, _erythrocytes(rng, tissue * weights[TAS], taken), blood, np.zeros_like(body))

    marker = np.zeros([n // 2 for n in size], np.int32)
    for nuclei in (tumour, ghosts):
        marker[nuclei.y // 2, nuclei.x // 2] = rng.integers(1, 2**20, len(nuclei))
    if not marker.any():
        return chromatin, body, blood, marker
    nearest = distance_transform_edt(marker == 0, return_distances=False, return_indices=True)
    return chromatin, body, blood, marker[tuple(nearest)]


def _membranes(cell: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Borders between cells and a random tone per cell, both ``(H, W)``, from the half-size map of cells."""
    tone = (cell % 1024).astype(np.float32) / 512 - 1
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    at = [(y + 1.6 * smooth_noise(rng, size, 4)) / 2, (x + 1.6 * smooth_noise(rng, size, 4)) / 2]
    full = map_coordinates(cell, at, order=0, mode="nearest")
    tone = map_coordinates(gaussian_filter(tone, 0.7), at, order=1, mode="nearest")
    edge = np.zeros(size, np.float32)
    edge[:-1] += full[:-1] != full[1:]
    edge[:, :-1] += full[:, :-1] != full[:, 1:]
    return gaussian_filter(np.minimum(edge, 1), 0.8), tone


def draw_tissue(
    rng: np.random.Generator, size: tuple[int, int], variation: float = 1.0, region: float = 62.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one field of tissue at about 10x (1 µm/px).

    Args:
        rng: source of randomness; equal generators draw equal images.
        size: (H, W) in px, even numbers of at least 64.
        variation: how much stain, light and camera differ between calls; 0 makes them equal.
        region: correlation length of the tissue regions in px; smaller values mix tissues more finely.

    Returns:
        ``(H, W, 3)`` uint8 RGB and ``(H, W)`` uint8 classes: 0 tumour epithelium, 1 necrosis, 2 lymphocytes, 3 stroma,
        4 white (lumens and tears).

    Raises:
        ValueError: ``size`` is odd or too small.
    """
    if len(size) != 2 or min(size) < 64 or any(n % 2 for n in size):
        raise ValueError(f"size: expected two even numbers of at least 64 px, found {tuple(size)}")
    stain = draw_stain(rng, variation)
    layout = draw_layout(rng, size, region)
    weights = np.stack([gaussian_filter(w, 1.2) for w in layout.weights])
    weights /= weights.sum(0)
    fibre_eosin, loose, fibre_angle, tear = _fibres(rng, layout)
    glass = open_spaces(layout, tear, rng.uniform(0.02, 0.09))
    chromatin, body, blood, cell = _cells(rng, layout, glass, fibre_angle, loose)
    membrane, cell_tone = _membranes(cell, size, rng)
    grain, coarse = smooth_noise(rng, size, 0.8), smooth_noise(rng, size, 2.2)
    patchy = smooth_noise(rng, size, 30)

    # cytoplasm and matrix: haematoxylin and eosin of each tissue before its nuclei
    basophil = rng.uniform(0.2, 0.5)
    discohesive = rng.uniform(-1.0, 0.6)  # borders between tumour cells: clefts below 0, membranes above
    tumour_e = 0.48 + 0.05 * layout.tone + 0.07 * cell_tone + 0.05 * coarse + 0.06 * grain + 0.55 * discohesive * membrane
    tumour_h = basophil + 0.04 * layout.tone + 0.05 * cell_tone + 0.05 * coarse + 0.25 * discohesive * membrane
    necrosis_e = 0.60 + 0.10 * patchy + 0.09 * coarse + 0.05 * grain + 0.10 * cell_tone - 0.25 * membrane
    necrosis_e = np.maximum(necrosis_e, 0.34)
    necrosis_h = 0.05 + 0.03 * patchy + 0.04 * np.maximum(coarse, 0)
    lymph_e = 0.44 + 0.07 * coarse + 0.05 * patchy
    lymph_h = 0.13 + 0.05 * coarse
    stroma_h = 0.05 + 0.03 * patchy + 0.03 * coarse + 0.12 * loose
    eosin = weights[TE] * tumour_e + weights[NEC] * necrosis_e + weights[LYM] * lymph_e + weights[TAS] * fibre_eosin
    haema = weights[TE] * tumour_h + weights[NEC] * necrosis_h + weights[LYM] * lymph_h + weights[TAS] * stroma_h

    # shrinkage: clefts around glands and haloes around nuclei
    cleft = np.exp(-(((layout.depth + 2.5) / 1.8) ** 2)) * ramp(smooth_noise(rng, size, 24), 0.0, 1.6)
    halo = np.clip(gaussian_filter(body, 2.2) * 1.5 - body, 0, 1) * (0.3 * weights[TE] + weights[LYM] + 0.4 * weights[TAS])
    fade = (1 - 0.7 * cleft) * (1 - 0.65 * halo)
    eosin, haema = eosin * fade, haema * fade
    chromatin = chromatin * np.clip(1 + 0.22 * grain + 0.12 * coarse, 0.3, 1.8)
    eosin = eosin * (1 - 0.15 * body) * (1 + 0.08 * patchy)
    amount = 1 + variation * rng.uniform((-0.2, -0.14), 0.24)  # staining times
    thick = 1 + 0.05 * smooth_noise(rng, size, 80)
    clear = 1 - glass
    secretion = 0.10 * ramp(patchy + 0.3 * coarse, 0.3, 2.0)  # stays brighter than tissue
    concentration = np.stack(
        [
            amount[0] * np.maximum(haema + 1.35 * chromatin, 0) * clear,
            amount[1] * np.maximum(eosin, 0) * clear + secretion * glass,
            blood * clear,
        ]
    ).astype(np.float32)
    rgb = photograph(beer_lambert(concentration * thick, stain.vectors, stain.white), stain, rng)
    return rgb, layout.mask
