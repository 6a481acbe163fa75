"""Pictures of label maps: colours, overlays, legends, areas."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .facts import DatasetFacts

__all__ = ["class_areas", "colourise", "data_uri", "legend", "overlay", "strip"]


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
        outline: draw the borders between classes in full colour.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        ValueError: sizes differ.
    """
    if image.shape[:2] != mask.shape:
        raise ValueError(f"image {image.shape[:2]} and mask {mask.shape} differ in size (H, W)")
    colours = colourise(mask, facts).astype(np.float32)
    weight = np.where(mask < facts.num_classes, alpha, 0.0)
    if outline:
        padded = np.pad(mask, 1, mode="edge")
        border = (padded[1:-1, 1:-1] != padded[2:, 1:-1]) | (padded[1:-1, 1:-1] != padded[1:-1, 2:])
        weight[border & (mask < facts.num_classes)] = 1.0
    blend = image * (1 - weight[..., None]) + colours * weight[..., None]
    return blend.round().astype(np.uint8)


def class_areas(mask: np.ndarray, facts: DatasetFacts, mpp: float | None = None) -> dict[str, dict[str, Any]]:
    """Area of each class.

    Args:
        mask: ``(H, W)`` class indices.
        facts: class names, and the pixel size unless ``mpp`` is given.
        mpp: pixel size in µm/px.

    Returns:
        ``{class: {"pixels": n, "percent": share of all tissue, "mm2": area}}``; ``mm2`` only if the pixel size is known.
    """
    counts = np.bincount(mask.ravel(), minlength=facts.num_classes)[: facts.num_classes]
    tissue = max(1, int(counts.sum()))
    size = mpp or facts.mpp
    areas: dict[str, dict[str, Any]] = {}
    for name, count in zip(facts.classes, counts.tolist(), strict=True):
        areas[name] = {"pixels": count, "percent": round(100 * count / tissue, 3)}
        if size:
            areas[name]["mm2"] = round(count * size * size * 1e-6, 6)
    return areas


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
    total = sum(i.width for i in images) + gap * (len(images) + 1)
    canvas = Image.new("RGB", (total, height + 24 + gap), "white")
    draw = ImageDraw.Draw(canvas)
    left = gap
    for (title, _), image in zip(panels, images, strict=True):
        draw.text((left, 4), title, fill="black", font=font)
        canvas.paste(image, (left, 24))
        left += image.width + gap
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
