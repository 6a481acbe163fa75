"""Pictures of label maps: colours, overlays, legends, areas."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .facts import DatasetFacts

__all__ = ["background_area", "class_areas", "colourise", "data_uri", "legend", "overlay", "strip"]

_BAND = 1024  # rows blended at a time
_OUTLINE = (20, 20, 20)


def colourise(mask: np.ndarray, facts: DatasetFacts) -> np.ndarray:
    """Label map ``(H, W)`` to ``(H, W, 3)`` uint8 in the dataset's colours; white background is white."""
    palette = np.full((256, 3), 255, np.uint8)
    palette[: facts.num_classes] = facts.palette
    return palette[mask]


def overlay(
    image: np.ndarray, mask: np.ndarray, facts: DatasetFacts, alpha: float = 0.4, outline: bool = True
) -> np.ndarray:
    """Blend a label map over its image; white background is left as it is.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        mask: ``(H, W)`` class indices.
        facts: palette.
        alpha: opacity of the colours, in [0, 1].
        outline: draw a dark line, 2 px wide, where two tissues meet: it shows to readers who do not tell the colours apart.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        ValueError: sizes differ.
    """
    if image.shape[:2] != mask.shape:
        raise ValueError(f"image {image.shape[:2]} and mask {mask.shape} differ in size (H, W)")
    tissue = mask < facts.num_classes
    blend = np.empty(image.shape, np.uint8)
    for top in range(0, len(mask), _BAND):  # whole slides' worth of floats would not fit into memory
        rows = slice(top, top + _BAND)
        weight = np.where(tissue[rows], np.float32(alpha), np.float32(0))[..., None]
        blend[rows] = np.rint(image[rows] * (1 - weight) + colourise(mask[rows], facts) * weight)
    if outline:
        for one, other in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
            meet = (mask[one] != mask[other]) & tissue[one] & tissue[other]
            blend[one][meet] = blend[other][meet] = _OUTLINE
    return blend


def class_areas(
    mask: np.ndarray, facts: DatasetFacts, mpp: float | Sequence[float] | None = None
) -> dict[str, dict[str, Any]]:
    """Area of each class.

    Args:
        mask: ``(H, W)`` class indices.
        facts: class names.
        mpp: pixel size in µm/px, square or (y, x); ``None``: unknown.

    Returns:
        ``{class: {"pixels": n, "percent": share of all tissue, "mm2": area}}``; ``mm2`` only if the pixel size is known.
    """
    counts = np.bincount(mask.ravel(), minlength=facts.num_classes)[: facts.num_classes]
    tissue = max(1, int(counts.sum()))
    pixel = _pixel(mpp)
    areas: dict[str, dict[str, Any]] = {}
    for name, count in zip(facts.classes, counts.tolist(), strict=True):
        areas[name] = {"pixels": count, "percent": round(100 * count / tissue, 3)}
        if pixel is not None:
            areas[name]["mm2"] = round(count * pixel * 1e-6, 6)
    return areas


def background_area(
    mask: np.ndarray, facts: DatasetFacts, mpp: float | Sequence[float] | None = None
) -> dict[str, int | float]:
    """Area of the white background: ``{"pixels": n, "mm2": area}``; the arguments are those of :func:`class_areas`."""
    count, pixel = int(np.count_nonzero(mask == facts.white_value)), _pixel(mpp)
    return {"pixels": count} if pixel is None else {"pixels": count, "mm2": round(count * pixel * 1e-6, 6)}


def _pixel(mpp: float | Sequence[float] | None) -> float | None:
    """Area of a pixel in µm²."""
    if mpp is None:
        return None
    return mpp**2 if isinstance(mpp, (int, float)) else math.prod(mpp)


def legend(facts: DatasetFacts, height: int = 22) -> np.ndarray:
    """Colours and class names in one row, ``(height, W, 3)`` uint8."""
    font = ImageFont.load_default(size=height * 0.6)
    names = [*facts.descriptions, *(["white background"] if facts.white_background else [])]
    colours = [*facts.palette, (255, 255, 255)]
    widths = [int(font.getlength(name)) + 2 * height for name in names]
    image = Image.new("RGB", (sum(widths), height), "white")
    draw = ImageDraw.Draw(image)
    left = 0
    for name, colour, width in zip(names, colours, widths, strict=False):
        draw.rectangle((left + 4, 4, left + height - 4, height - 4), fill=tuple(colour), outline="black")
        draw.text((left + height, height * 0.15), name, fill="black", font=font)
        left += width
    return np.asarray(image)


def strip(panels: list[tuple[str, np.ndarray]], height: int = 256, gap: int = 8) -> np.ndarray:
    """Titled pictures side by side, each scaled to ``height`` px.

    Args:
        panels: titles and ``(H, W, 3)`` uint8 pictures.
        height: height of a picture.
        gap: space around it.
    """
    font = ImageFont.load_default(size=14)
    images = []
    for _, panel in panels:
        width = max(1, round(panel.shape[1] * height / panel.shape[0]))
        images.append(Image.fromarray(panel).resize((width, height), Image.Resampling.LANCZOS))
    # a title wider than its picture moves the next one on
    widths = [max(i.width, math.ceil(font.getlength(t))) for i, (t, _) in zip(images, panels, strict=True)]
    total = sum(widths) + gap * (len(images) + 1)
    canvas = Image.new("RGB", (total, height + 24 + gap), "white")
    draw = ImageDraw.Draw(canvas)
    left = gap
    for (title, _), image, width in zip(panels, images, widths, strict=True):
        draw.text((left, 4), title, fill="black", font=font)
        canvas.paste(image, (left, 24))
        left += width + gap
    return np.asarray(canvas)


def data_uri(image: np.ndarray, longest: int = 480, photo: bool = True) -> str:
    """A picture as ``data:`` URI for a self-contained page.

    Args:
        image: ``(H, W, 3)`` uint8.
        longest: longer side in px after scaling down.
        photo: JPEG for photographs, PNG for flat colours.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS if photo else Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    if photo:
        picture.save(buffer, "JPEG", quality=88)
    else:
        picture.quantize(256).save(buffer, "PNG", optimize=True)
    kind = "jpeg" if photo else "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
