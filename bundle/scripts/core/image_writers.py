"""Writing of images and label maps: whole files or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .atomic import atomic_path
from .facts import DatasetFacts
from .geometry import Geometry, as_mpp, itk_name
from .images import NIBABEL_SUFFIXES, suffix

__all__ = ["write_grey", "write_image", "write_mask"]


def write_image(path: str | Path, image: np.ndarray, mpp: tuple[float, float] | None = None) -> None:
    """Write ``(H, W, 3)`` uint8 RGB atomically, in the format of the suffix (PNG, JPEG).

    Args:
        path: target.
        image: pixels.
        mpp: pixel size (y, x) in µm/px, which a PNG then states; ``None``: it states none.
    """
    with atomic_path(path) as temporary:
        # of PNG, a fifth of the default's time for enlarged tissue, a tenth more bytes
        density = _density(mpp) if suffix(path) == ".png" else {}
        Image.fromarray(np.ascontiguousarray(image)).save(temporary, compress_level=1, **density)


def write_mask(
    path: str | Path,
    mask: np.ndarray,
    facts: DatasetFacts,
    mpp: float | Sequence[float] | None = None,
    geometry: Geometry | None = None,
) -> None:
    """Write a label map atomically: palette PNG, ``.nii.gz``/``.nii`` or ``.nrrd``/``.mha`` by suffix.

    Args:
        path: target.
        mask: ``(H, W)`` class indices in 0..255.
        facts: palette; ``facts.white_value`` is shown white.
        mpp: pixel size in µm/px, square or (y, x), of a label map without ``geometry``; that of the facts by default.
        geometry: pixel size and place of the image, which the label map gets: it then lies on its image in every format
            that holds a place. PNG holds the pixel size.

    Raises:
        ValueError: another suffix, a mask of another shape, or a value above ``facts.white_value``.
        OSError: it cannot be written.
    """
    mask = np.ascontiguousarray(mask, dtype=np.uint8)
    if mask.max(initial=0) > facts.white_value:  # a palette PNG would silently fold it into another class
        raise ValueError(f"{path}: found mask value {mask.max()}, expected 0 to {facts.white_value}")
    if geometry is None:
        size = facts.mpp if mpp is None else mpp
        geometry = Geometry(None if size is None else as_mpp(size, f"{path}: mpp"))
    _write(path, mask, geometry, [v for colour in facts.palette for v in colour] + [255, 255, 255])


def write_grey(path: str | Path, values: np.ndarray, geometry: Geometry) -> None:
    """Write grey values atomically, which lie on their image: PNG, ``.nii.gz``/``.nii`` or ``.nrrd``/``.mha`` by suffix.

    Args:
        path: target.
        values: ``(H, W)`` uint8.
        geometry: pixel size and place of the image.

    Raises:
        ValueError: another suffix, or values of another shape.
        OSError: it cannot be written.
    """
    _write(path, np.ascontiguousarray(values, dtype=np.uint8), geometry)


def _write(path: str | Path, mask: np.ndarray, geometry: Geometry, palette: Sequence[int] | None = None) -> None:
    if mask.ndim != 2:
        raise ValueError(f"{path}: expected values (H, W), found shape {mask.shape}")
    kind = suffix(path)
    with atomic_path(path) as temporary:
        if kind == ".png":
            image = Image.fromarray(mask)
            if palette is not None:
                image.putpalette(palette)
            image.save(temporary, **_density(geometry.mpp))
        elif kind in NIBABEL_SUFFIXES:
            _write_nifti(temporary, mask, geometry)
        elif kind in (".nrrd", ".mha"):
            _write_itk(temporary, mask, geometry)
        else:
            raise ValueError(f"{path}: cannot write {kind!r}, expected .png, .nii.gz, .nii, .nrrd or .mha")


def _density(mpp: tuple[float, float] | None) -> dict[str, tuple[float, float]]:
    """Of PIL, in dots per inch (x, y)."""
    return {} if mpp is None else {"dpi": (25400 / mpp[1], 25400 / mpp[0])}


def _write_nifti(path: Path, mask: np.ndarray, geometry: Geometry) -> None:
    import nibabel

    grid = geometry.grid()
    size = len(grid) - 1
    array = mask.T.reshape(mask.T.shape + (1,) * (size - 2))
    if geometry.nifti is not None:  # its units and kinds of transformation as well: whoever places the image places this
        header = nibabel.Nifti1Header.from_header(geometry.nifti, check=False)
        header.set_data_shape(array.shape)
        header.set_data_dtype(np.uint8)
        header.set_slope_inter(1, 0)
        header.set_intent("none")  # of colours in a further dimension it is "vector", as which others cannot read one value
        header["cal_max"] = header["cal_min"] = 0
        nibabel.save(nibabel.Nifti1Image(array, None, header), path)
        return
    affine = np.eye(4)
    affine[:2, :2], affine[:2, 3] = grid[:2, :2], grid[:2, size]
    if size == 3:
        affine = grid
    image = nibabel.Nifti1Image(
        array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    )  # NIfTI's axes are right, anterior, superior
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _write_itk(path: Path, mask: np.ndarray, geometry: Geometry) -> None:
    import itk

    grid = geometry.grid()
    size = len(grid) - 1
    image = itk.image_from_array(mask.reshape((1,) * (size - 2) + mask.shape))
    spacing = np.linalg.norm(grid[:size, :size], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(grid[:size, size].tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(grid[:size, :size] / spacing)))
    try:
        with itk_name(path) as name:
            itk.imwrite(image, name, compression=True)
    except RuntimeError as error:  # a full disk, for one
        raise OSError(str(error).strip().splitlines()[-1]) from error
