"""Default colours can be told apart on H&E, also by people who see colours differently."""

from __future__ import annotations

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from skimage.color import deltaE_ciede2000, rgb2lab

ALPHA = 0.4  # opacity of overlays
#: Pale and dark eosin, nuclei, glass.
STAIN = np.array([[231, 190, 212], [199, 140, 178], [120, 84, 150], [243, 236, 243]]) / 255
# Machado, Oliveira, Fernandes 2009, severity 1, for linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colours, vision):
    """CIELAB of colours ``(N, 3)`` in [0, 1] as somebody sees them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def least(palette, vision):
    """Smallest differences over the stain: between two classes, and between a class and the bare stain (glass left out)."""
    colours, between, bare = np.array(palette) / 255, [], []
    for k, stain in enumerate(STAIN):
        lab = seen((1 - ALPHA) * stain + ALPHA * colours, vision)
        pairs = deltaE_ciede2000(lab[:, None], lab[None])
        between.append(pairs[~np.eye(len(lab), dtype=bool)].min())
        if k < 3:
            bare.append(deltaE_ciede2000(lab, seen(stain[None], vision)).min())
    return min(between), min(bare)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("classes", "between"), [(2, 30), (3, 17), (4, 15), (6, 10), (8, 8), (10, 6)])
def test_contrast(vision, classes, between):
    palette = DatasetFacts(classes=[f"c{k}" for k in range(classes)]).palette
    found = least(palette, vision)
    assert found[0] >= between and found[1] >= 6


def test_the_measure_knows_red_and_green():
    """Red and green of one lightness are far apart for most people, and alike for those without red or green cones."""
    pair = [(205, 51, 51), (96, 112, 0)]
    assert least(pair, "normal")[0] > 15 and least(pair, "deuteranopia")[0] < 8
