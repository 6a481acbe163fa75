"""Images and masks as files hold them, right ones and wrong ones, with the value that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import itk
import nibabel
import numpy as np
import tifffile
from damage import Case, damaged_bytes
from PIL import Image
from scripts.core.images import read_image, read_mask

__all__ = ["damaged_images", "pixel_types", "warm_up"]

# a flipped bit shows in these, as they hold check sums
_CHECKED = (".png", ".nii.gz")


def write(path: Path, array: np.ndarray) -> Path:
    """Write ``(H, W)`` or ``(H, W, channels)`` of any type, as a program of the field does."""
    colour = array.ndim == 3
    name = path.name
    if name.endswith((".tif", ".tiff")):
        look = "rgb" if colour and array.shape[2] in (3, 4) else "minisblack"
        tifffile.imwrite(path, array, photometric=look, planarconfig="contig" if colour else None)
    elif name.endswith((".nii", ".nii.gz")):
        data = array.transpose(1, 0, 2)[:, :, None] if colour else array.T
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(data), np.eye(4), dtype=array.dtype), path)
    elif name.endswith((".mha", ".nrrd")):
        itk.imwrite(itk.image_from_array(array, is_vector=colour), str(path))
    else:
        Image.fromarray(array).save(path)
    return path


def pixel_types(rng: np.random.Generator) -> Iterator[Case]:
    """Every format with every type of number and number of channels that it takes: right, or refused."""
    rgb, mask = tissue(rng)
    truth = rgb.astype(np.uint8)
    types = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64, np.complex64]
    for suffix in (".tif", ".mha", ".nrrd", ".nii", ".nii.gz"):
        for kind in types:
            number = np.dtype(kind)
            factor = 16 if number.itemsize == 2 else 1  # of 12 bits in 16, or of the same value
            for channels in (1, 2, 3, 4, 5):
                extra = [np.full(mask.shape, 255)] * (channels - 3)
                array = rgb[..., 0] if channels == 1 else np.dstack([rgb[..., : min(3, channels)], *extra])
                array = (array // 2 if kind is np.int8 else array * factor).astype(kind)
                same = channels in (1, 3, 4) and kind is not np.int8 and factor == 1 and number.kind != "c"
                expected = (np.repeat(truth[..., :1], 3, 2) if channels == 1 else truth) if same else None
                sound = kind is np.uint8 and channels in (1, 3)
                name = f"x{suffix}"
                yield _case("image: pixel types", f"{number.name} x {channels}", name, array, read_image, expected, sound)
            for label, values in (("whole", mask), ("halves", mask + 0.5), ("negative", mask - 1.0), ("large", mask + 254)):
                with np.errstate(all="ignore"):
                    array = values.astype(kind)
                if not np.array_equal(array.real, values):
                    continue  # this type cannot hold them
                expected = mask.astype(np.uint8) if label == "whole" and number.kind != "c" else None
                written = kind is not np.int8 or suffix not in (".mha", ".nrrd")  # which ITK does not wrap
                sound = label == "whole" and number.kind in "iu" and written
                yield _case("mask: pixel types", f"{number.name}, {label}", f"m{suffix}", array, read_mask, expected, sound)
    yield from _pillow(rgb.astype(np.uint8), mask.astype(np.uint8))


def _pillow(rgb: np.ndarray, mask: np.ndarray) -> Iterator[Case]:
    """What PIL writes: palettes, transparency, orientation, inversion, few bits, losses."""
    image = Image.fromarray(rgb)
    grey = np.repeat(np.asarray(image.convert("L"))[..., None], 3, 2)
    half = image.copy()
    half.putalpha(Image.fromarray(np.where(mask == 0, 0, 255).astype(np.uint8)))
    over = np.where((mask == 0)[..., None], 255, rgb)
    few = image.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.rot90(rgb, -1)
    deep = Image.fromarray(rgb[..., 0].astype(np.uint16) * 256)
    for name, picture, options, truth in (
        ("x.png", image, {}, rgb), ("x.bmp", image, {}, rgb), ("x.tif", image, {}, rgb),
        ("x.tif", image, {"compression": "tiff_lzw"}, rgb),
        ("x.png", image.convert("L"), {}, grey), ("x.png", half, {}, over), ("x.tif", half, {}, over),
        ("x.png", few, {}, np.asarray(few.convert("RGB"))), ("x.tif", few, {}, np.asarray(few.convert("RGB"))),
        ("x.png", image.convert("1"), {}, np.asarray(image.convert("1").convert("RGB"))),
        ("x.tif", image.convert("1"), {}, np.asarray(image.convert("1").convert("RGB"))),
        ("x.png", image, {"exif": exif}, turned), ("x.tif", image, {"exif": exif}, turned),
        ("x.png", deep, {}, None), ("x.tif", deep, {}, None), ("x.tif", image.convert("LAB"), {}, None),
        ("x.tif", image, {"save_all": True, "append_images": [image, image]}, None),
    ):  # fmt: skip
        yield _saved("image: as PIL writes it", name, picture, options, read_image, truth)
    stored = Image.fromarray(mask)
    palette = stored.copy()
    palette.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
    for name, picture, options, truth in (
        ("m.png", stored, {}, mask), ("m.tif", stored, {}, mask), ("m.png", palette, {}, mask), ("m.tif", palette, {}, mask),
        ("m.png", palette, {"bits": 2}, mask), ("m.png", stored, {"exif": exif}, np.rot90(mask, -1)),
        ("m.jpg", stored, {}, None), ("m.tif", stored, {"compression": "jpeg"}, None),
        ("m.png", image, {}, None), ("m.png", half, {}, None),
        ("m.bmp", stored, {}, mask), ("m.png", Image.fromarray(mask.astype(np.uint16)), {}, mask),
    ):  # fmt: skip
        yield _saved("mask: as PIL writes it", name, picture, options, read_mask, truth)

    def lying(folder: Path) -> Path:
        stored.save(folder / "m.jpg")
        return (folder / "m.jpg").rename(folder / "m.png")

    yield Case("mask: as PIL writes it", "JPEG by another name", lying, read_mask)
    for photometric, kind, read, truth in (
        ("miniswhite", "image", read_image, np.repeat(255 - rgb[..., :1], 3, 2)),
        ("miniswhite", "mask", read_mask, rgb[..., 0]),
    ):

        def inverted(folder: Path, photometric: str = photometric) -> Path:
            tifffile.imwrite(folder / "x.tif", rgb[..., 0], photometric=photometric)
            return folder / "x.tif"

        yield Case(f"{kind}: as PIL writes it", "white is zero", inverted, read, truth)


def warm_up(folder: Path) -> None:
    """Read one image of every format: ITK loads what it needs when it is needed, which takes seconds in every process."""
    rgb, mask = (array.astype(np.uint8) for array in tissue(np.random.default_rng(0)))
    for suffix in (".png", ".jpg", ".bmp", ".tif", ".mha", ".nrrd", ".nii", ".nii.gz"):
        read_image(write(folder / f"x{suffix}", rgb))
        if suffix != ".jpg":
            read_mask(write(folder / f"m{suffix}", mask))


def damaged_images(rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Files of every format with damaged bytes."""
    rgb, mask = (array.astype(np.uint8) for array in tissue(rng))
    for number in range(count):
        suffix = (".png", ".jpg", ".bmp", ".tif", ".mha", ".nrrd", ".nii", ".nii.gz")[number % 8]
        is_mask = suffix != ".jpg" and number // 8 % 3 == 0
        seed = int(rng.integers(2**31))

        def damaged(folder: Path, suffix: str = suffix, is_mask: bool = is_mask, seed: int = seed) -> Path:
            path = write(folder / f"x{suffix}", mask if is_mask else rgb)
            path.write_bytes(damaged_bytes(path.read_bytes(), np.random.default_rng(seed))[1])
            return path

        read = read_mask if is_mask else read_image
        truth = mask if is_mask else None if suffix == ".jpg" else rgb
        noticeable = suffix in _CHECKED
        kind = f"{'mask' if is_mask else 'image'}: damaged {suffix}"
        yield Case(kind, f"bytes, seed {seed}", damaged, read, truth, noticeable)


def tissue(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values ``(24, 20, 3)`` of an image and ``(24, 20)`` of its mask, classes 0 to 3."""
    mask = np.zeros((24, 20), int)
    mask[4:16, 3:9], mask[10:, 12:], mask[18:, :5] = 1, 2, 3
    rgb = np.array([[120, 40, 130], [220, 160, 200], [60, 20, 110], [250, 240, 250]])[mask] + rng.integers(
        -5, 5, (24, 20, 3)
    )
    return rgb, mask


def _case(
    kind: str, damage: str, name: str, array: np.ndarray, read: Callable, truth: np.ndarray | None, sound: bool
) -> Case:
    def make(folder: Path) -> Path:
        try:
            return write(folder / name, array)
        except Exception:  # what a library cannot write is no input of anybody: an empty file, which is refused
            (folder / name).write_bytes(b"")
            return folder / name

    return Case(kind, f"{name}: {damage}", make, read, truth, sound=sound)


def _saved(kind: str, name: str, picture: Image.Image, options: dict, read: Callable, truth: np.ndarray | None) -> Case:
    def save(folder: Path) -> Path:
        picture.save(folder / name, **options)
        return folder / name

    return Case(kind, f"{name}: {picture.mode} {options or ''}", save, read, truth, sound=truth is not None)
