"""Patches that exports are checked on: those of a dataset, or drawn tissue where none is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..core.images import read_image
from ..data.datalist import read_datalist
from ..demo.tissue import draw_tissue

__all__ = ["calibration_patches", "known_patches"]

_LEAST = 64  # px, of drawn tissue


def known_patches(dataset_dir: str | Path | None, count: int, size: Sequence[int], seed: int = 0) -> torch.Tensor:
    """Images of tissue of the size that networks were trained on.

    Args:
        dataset_dir: prepared dataset, whose training patches are drawn from; ``None``: tissue is drawn.
        count: how many, at most.
        size: (height, width) in px; what is larger is cut, what is smaller is mirrored at its edge.
        seed: of the choice, or of the tissue.

    Returns:
        ``(N, 3, height, width)`` float32 in [0, 1].

    Raises:
        FileNotFoundError: no datalist, or no such image.
        ValueError: a dataset without training patches, or one that cannot be read.
    """
    rng = np.random.default_rng(seed)
    if dataset_dir is None:
        drawn = [max(_LEAST, side + side % 2) for side in size]
        images = [draw_tissue(rng, (drawn[0], drawn[1]))[0] for _ in range(count)]
    else:
        entries = read_datalist(dataset_dir, "training", require=("image",))
        if not entries:
            raise ValueError(f"{dataset_dir}: no training patches to check exports on; name another dataset_dir, or none")
        chosen = rng.permutation(len(entries))[:count]
        images = [read_image(entries[number]["image"]) for number in sorted(chosen)]
    fitted = [_of_size(image, size) for image in images]
    return torch.from_numpy(np.stack(fitted).transpose(0, 3, 1, 2).astype(np.float32)) / 255


def calibration_patches(dataset_dir: str | Path | None, count: int, size: Sequence[int], seed: int = 0) -> torch.Tensor:
    """Training patches by which the ranges of whole numbers are measured; see :func:`known_patches`.

    Raises:
        ValueError: no dataset is given: ranges of drawn tissue are not those of any other.
    """
    if dataset_dir is None:
        raise ValueError("form onnx_int8: its ranges are measured on training patches; name a dataset: --dataset_dir DIR")
    return known_patches(dataset_dir, count, size, seed)


def _of_size(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    short = [(0, max(0, side - found)) for side, found in zip(size, image.shape[:2], strict=True)]
    return np.pad(image, [*short, (0, 0)], mode="symmetric")[: size[0], : size[1]]
