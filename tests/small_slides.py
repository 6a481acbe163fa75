"""Slides of a few hundred px, drawn in a moment, and weights that see all classes in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import tifffile
import torch
from scipy.ndimage import gaussian_filter
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.registry import register
from scripts.weights.description import describe
from scripts.weights.files import save_weights
from tiny import TinyExtractor
from torch import nn

FACTS = DatasetFacts(
    classes=["tumour", "stroma", "necrosis"],
    palette=[[200, 0, 0], [0, 180, 0], [0, 0, 220]],
    mpp=1.0,
    white_background=False,
)
GLASS, STAINS = (243, 242, 244), np.array([(230, 150, 190), (120, 80, 155)])


@cache
def drawn(height: int = 480, width: int = 600, seed: int = 0) -> np.ndarray:
    """An island of tissue and a speck on glass, ``(H, W, 3)`` uint8."""
    rng = np.random.default_rng(seed)
    near, far = (gaussian_filter(rng.standard_normal((height, width)), sigma) for sigma in (8, 25))
    share = 1 / (1 + np.exp(-2 * (near / near.std() + far / far.std())))[..., None]
    image = STAINS[0] * share + STAINS[1] * (1 - share)
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    islands = (((y - 0.5) / 0.36) ** 2 + ((x - 0.32) / 0.24) ** 2 < 1) | (
        ((y - 0.4) / 0.2) ** 2 + ((x - 0.8) / 0.12) ** 2 < 1
    )
    image[~islands] = GLASS
    return np.clip(image + rng.normal(0, 1, image.shape), 0, 255).astype(np.uint8)


def write_slide(path: Path, pixels: np.ndarray, mpp: float = 0.5, levels: int = 2, tile: int = 128) -> Path:
    """A tiled TIFF with ``levels`` levels that OpenSlide reads with its µm/px."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            side = 2**level
            height, width = (length // side for length in pixels.shape[:2])
            small = pixels[: height * side, : width * side].reshape(height, side, width, side, 3).mean((1, 3))
            file.write(
                small.round().astype(np.uint8), photometric="rgb", tile=(tile, tile), compression="zlib", metadata=None,
                subfiletype=int(level > 0), resolution=(1e4 / mpp / side,) * 2, resolutionunit="centimeter",
            )  # fmt: skip
    return path


def damage(path: Path, number: int) -> None:
    """Make a tile of level 0 unreadable."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[number], page.databytecounts[number]
    with path.open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xa5" * count)


@register()
class StainSegmenter(nn.Module):
    """Classes by how dark the stain is around a pixel: what a window gives depends little on where it stands."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.extractor = TinyExtractor()  # says how images are normalised
        self.num_classes = num_classes
        self.blur = nn.AvgPool2d(9, 1, 4, count_include_pad=False)
        self.head = nn.Conv2d(3, num_classes, 1)
        middle = torch.linspace(0.58, 0.76, num_classes)  # of red
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[:, 0, 0, 0] = 400 * middle
            self.head.bias.copy_(-200 * middle**2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.blur(image))


def write_stain_models(folder: Path, facts: DatasetFacts = FACTS) -> Path:
    """Weights of patches of 32 px whose segmenter sees all classes in the drawn tissue; the gate lets all through."""
    torch.manual_seed(1)
    classifier, segmenter = TissueClassifier(TinyExtractor(), facts.num_classes), StainSegmenter(facts.num_classes)
    save_weights(
        folder / "classifier.pt", classifier, describe(classifier, "classifier", facts, (32, 32), gate_threshold=0.01)
    )
    scheme = {"flips": False, "window_scales": [1.0], "overlap": 0.25}
    save_weights(folder / "model.pt", segmenter, describe(segmenter, "segmenter", facts, (32, 32), inference=scheme))
    return folder
