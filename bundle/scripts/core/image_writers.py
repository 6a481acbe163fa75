"""Writing of images and label maps: whole files or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .atomic import atomic_path
from .facts import DatasetFacts
from .images import NIBABEL_SUFFIXES, suffix

__all__ = ["write_image", "write_mask"]


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write ``(H, W, 3)`` uint8 RGB atomically, in the format of the suffix (PNG, JPEG)."""
    with atomic_path(path) as temporary:
        # of PNG, a fifth of the default's time for enlarged tissue, a tenth more bytes
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, compress_level=1)


def write_mask(path: str | Path, mask: np.ndarray, facts: DatasetFacts, mpp: float | None = None) -> None:
    """Write a label map atomically: palette PNG, ``.nii.gz``/``.nii`` or ``.nrrd``/``.mha`` by suffix.

    Args:
        path: target.
        mask: ``(H, W)`` class indices in 0..255.
        facts: palette; ``facts.white_value`` is shown white.
        mpp: pixel size in µm/px for the formats that hold one; that of the facts by default.

    Raises:
        ValueError: another suffix, a mask of another shape, or a value above ``facts.white_value``.
    """
    mask = np.ascontiguousarray(mask, dtype=np.uint8)
    if mask.ndim != 2:
        raise ValueError(f"{path}: expected a mask (H, W), found shape {mask.shape}")
    if mask.max(initial=0) > facts.white_value:  # a palette PNG would silently fold it into another class
        raise ValueError(f"{path}: found mask value {mask.max()}, expected 0 to {facts.white_value}")
    spacing = (mpp or facts.mpp or 1.0) / 1000  # mm, the unit of these formats
    kind = suffix(path)
    with atomic_path(path) as temporary:
        if kind == ".png":
            image = Image.fromarray(mask)
            image.putpalette([v for colour in facts.palette for v in colour] + [255, 255, 255])
            image.save(temporary)
        elif kind in NIBABEL_SUFFIXES:
            import nibabel

            nibabel.save(nibabel.Nifti1Image(mask.T, np.diag([spacing, spacing, 1.0, 1.0])), temporary)
        elif kind in (".nrrd", ".mha"):
            import itk

            image = itk.image_from_array(mask)
            image.SetSpacing([spacing, spacing])
            itk.imwrite(image, str(temporary), compression=True)
        else:
            raise ValueError(f"{path}: cannot write {kind!r}, expected .png, .nii.gz, .nii, .nrrd or .mha")
