"""Reading of images and label maps, by MONAI's readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from monai.data import ITKReader, NibabelReader
from PIL import Image, UnidentifiedImageError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "image_mode", "image_size", "read_image", "read_mask", "suffix"]

#: Largest image that is decoded, in px.
MAX_PIXELS = 2**28
_PIL = (".png", ".jpg", ".jpeg", ".bmp")
_ITK = (".mha", ".mhd", ".nrrd", ".tif", ".tiff")
NIBABEL_SUFFIXES = (".nii", ".nii.gz")
#: Suffixes of files that can be read.
IMAGE_SUFFIXES = (*_PIL, *_ITK, *NIBABEL_SUFFIXES)
_GREY = ("1", "L", "LA", "La")  # modes of PIL
_DEEP = ("I", "F")  # and those of more than 8 bits: I;16, I;16B, I, F
# what decoders raise on files that are not what they seem
_DECODING_ERRORS = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, IndexError, KeyError, TypeError)


def suffix(path: str | Path) -> str:
    """Lower-case suffix, ``.nii.gz`` taken as one."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in px from the header, nothing decoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image of a known format.
    """
    path = Path(path)
    kind = suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if kind not in IMAGE_SUFFIXES:
        raise ValueError(f"{path}: found suffix {kind!r}, expected one of {', '.join(IMAGE_SUFFIXES)}")
    try:
        if kind in _PIL:
            with Image.open(path) as image:
                return image.height, image.width
        if kind in _ITK:
            header = _itk_header(path)
            return int(header.GetDimensions(1)), int(header.GetDimensions(0))
        import nibabel

        shape = nibabel.load(path).shape
        return int(shape[1]), int(shape[0])
    except (UnidentifiedImageError, Image.DecompressionBombError, *_DECODING_ERRORS) as error:
        raise ValueError(f"{path}: not a readable image ({_reason(error)})") from error


def image_mode(path: str | Path) -> str:
    """``"grey"`` or ``"colour"``, as the file's header says, nothing decoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image of a known format.
    """
    path = Path(path)
    image_size(path)  # for its errors
    if suffix(path) in _PIL:
        with Image.open(path) as image:
            return "grey" if image.mode in _GREY or image.mode.startswith(_DEEP) else "colour"
    if suffix(path) in _ITK:
        return "grey" if _itk_header(path).GetNumberOfComponents() == 1 else "colour"
    import nibabel

    header = nibabel.load(path)
    colours = header.get_data_dtype().names  # a structured type, or a dimension of their own
    return "grey" if (len(colours) if colours else np.prod(header.shape[2:])) == 1 else "colour"


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image as RGB.

    Args:
        path: PNG, JPEG, BMP (PIL), MetaImage, NRRD, TIFF (ITK) or NIfTI (nibabel).
        max_pixels: larger images are refused before anything is decoded.

    Returns:
        ``(H, W, 3)`` uint8; grey images have three equal channels, transparency is dropped.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, truncated, too large, or not 8-bit grey or colour; the message names the file.
    """
    _check_size(path, max_pixels)
    if suffix(path) in _PIL:
        try:
            with Image.open(path) as image:
                if image.mode.startswith(_DEEP):  # converting would clip it without a word
                    raise ValueError(f"found mode {image.mode}, expected 8 bits per channel")
                return np.asarray(image.convert("RGB"))
        except _DECODING_ERRORS as error:
            raise ValueError(f"{path}: not a readable image ({_reason(error)})") from error
    array = _read_medical(path)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise ValueError(f"{path}: found an array of shape {array.shape}, expected (H, W) or (H, W, 3)")
    return np.ascontiguousarray(_as_bytes(array[..., :3], path))


def read_mask(path: str | Path, num_classes: int | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a label map by value: the pixel value is the class index, palette colours are not looked at.

    Args:
        path: file in one of the formats of :func:`read_image`.
        num_classes: number of tissue classes; a larger value than this (white background) is refused. ``None``: any.
        max_pixels: larger maps are refused before anything is decoded.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unreadable, a colour image, or a value out of range; the message names the file.
    """
    _check_size(path, max_pixels)
    if suffix(path) in _PIL or _is_palette_tiff(path):
        try:
            with Image.open(path) as image:
                if image.mode not in ("P", "L", "1", "I", "I;16"):
                    raise ValueError(f"found mode {image.mode}, expected palette (P) or grey (L) whose value is the class")
                array = np.asarray(image)
        except _DECODING_ERRORS as error:
            raise ValueError(f"{path}: not a readable mask ({_reason(error)})") from error
    else:
        array = _read_medical(path)
    if array.ndim != 2:
        raise ValueError(f"{path}: found an array of shape {array.shape}, expected one value per pixel (H, W)")
    highest = 255 if num_classes is None else num_classes
    if array.size and (array.min() < 0 or array.max() > highest):
        found = sorted(set(np.unique(array).tolist()) - set(range(highest + 1)))
        raise ValueError(f"{path}: found mask values {found[:8]}, expected 0 to {highest}")
    return np.ascontiguousarray(array.astype(np.uint8))


def _check_size(path: str | Path, max_pixels: int) -> None:
    height, width = image_size(path)
    if height * width > max_pixels:
        raise ValueError(f"{path}: found {width} x {height} px, more than the {max_pixels} px that are decoded")


def _itk_header(path: str | Path) -> Any:
    import itk

    header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise ValueError("no ITK reader takes it")
    header.SetFileName(str(path))
    header.ReadImageInformation()
    return header


def _is_palette_tiff(path: str | Path) -> bool:
    """ITK gives such a file's colours; its values are wanted."""
    if suffix(path) not in (".tif", ".tiff"):
        return False
    try:
        with Image.open(path) as image:
            return image.mode == "P"
    except _DECODING_ERRORS:
        return False  # a TIFF of another kind than PIL knows


def _read_medical(path: str | Path) -> np.ndarray:
    """Array ``(H, W)`` or ``(H, W, channels)``."""
    try:
        if suffix(path) in _ITK:
            import itk

            # vectors of bytes are not wrapped as such, colours are
            colours = {3: itk.RGBPixel[itk.UC], 4: itk.RGBAPixel[itk.UC]}
            colour = colours.get(_itk_header(path).GetNumberOfComponents())
            reader = ITKReader(**({"pixel_type": colour} if colour else {}))
            return np.asarray(itk.array_from_image(reader.read(str(path))))  # rows first, as this bridge gives
        reader = NibabelReader(squeeze_non_spatial_dims=True)
        array = np.asarray(reader.get_data(reader.read(str(path)))[0])
    except _DECODING_ERRORS as error:
        raise ValueError(f"{path}: damaged or truncated image ({_reason(error)})") from error
    while array.ndim > 2 and array.shape[2] == 1:
        array = array[:, :, 0]
    return np.moveaxis(array, 0, 1)


def _as_bytes(array: np.ndarray, path: str | Path) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.size and (array.min() < 0 or array.max() > 255 or not np.array_equal(array, np.round(array))):
        raise ValueError(f"{path}: found {array.dtype} values {array.min()} to {array.max()}, expected integers 0 to 255")
    return array.astype(np.uint8)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
