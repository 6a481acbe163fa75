"""Pictures of a page: galleries of panels, images under layers that can be switched, scale bars."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from PIL import Image

from ..core.facts import DatasetFacts
from ..core.pictures import data_uri
from .html_tables import percent

__all__ = ["Case", "LayeredImage", "gallery", "layered", "round_length", "scale_bar"]


@dataclass
class Case:
    """One image of a gallery.

    Args:
        name: name of the image.
        score: its FwIoU, in [0, 1].
        panels: title and ``(H, W, 3)`` uint8 picture, image first; they stand in one row, to be compared.
        note: short text, such as the class areas.
        more: further pictures, smaller, in a row of their own.
        mpp: µm per pixel (x) of the image before it was made smaller, for a scale bar.
    """

    name: str
    score: float | None
    panels: list[tuple[str, np.ndarray]]
    note: str = ""
    more: list[tuple[str, np.ndarray]] = field(default_factory=list)
    mpp: float | None = None


@dataclass
class LayeredImage:
    """An image with its label map over it, class by class.

    Args:
        name: name of the image.
        image: ``(H, W, 3)`` uint8 RGB.
        label_map: ``(H, W)`` class indices; what is none of them has no colour.
        note: HTML below it.
        mpp: µm per pixel (x), for a scale bar; ``None``: unknown.
    """

    name: str
    image: np.ndarray
    label_map: np.ndarray
    note: str = ""
    mpp: float | None = None


def gallery(cases: Sequence[Case]) -> str:
    """Cases one below the other."""
    blocks = []
    for case in cases:
        score = "" if case.score is None else f" · FwIoU {percent(case.score)}"
        rows = "".join(
            f'<div class="panels {kind}">'
            f"{''.join(_figure(case, *panel, bar=kind == 'main' and k == 0) for k, panel in enumerate(panels))}</div>"
            for kind, panels in (("main", case.panels), ("more", case.more))
            if panels
        )
        note = f"<p class=hint>{escape(case.note)}</p>" if case.note else ""
        blocks.append(f"<article><h3>{escape(case.name)}{score}</h3>{rows}{note}</article>")
    return "".join(blocks)


def _figure(case: Case, title: str, picture: np.ndarray, bar: bool) -> str:
    return (
        f'<figure><img src="{data_uri(picture)}" alt="{escape(title)} of {escape(case.name)}">'
        f"<figcaption>{escape(title)}</figcaption>{scale_bar(picture.shape[1], case.mpp) if bar else ''}</figure>"
    )


def layered(images: Iterable[LayeredImage], facts: DatasetFacts, longest: int = 360) -> str:
    """Images under their label maps; the page's script switches classes on and off and sets the opacity.

    Args:
        images: the images; of a generator, one is in memory at a time.
        facts: palette and class names.
        longest: longer side in px that they are made smaller to.
    """
    return f'<div class="tiles">{"".join(_layered(image, facts, longest) for image in images)}</div>'


def _layered(image: LayeredImage, facts: DatasetFacts, longest: int) -> str:
    step = max(1, math.ceil(max(image.label_map.shape) / longest))
    small = image.label_map[step // 2 :: step, step // 2 :: step]  # a colour between two classes would be a third one
    layers = "".join(
        f'<img class="layer" data-class="{k}" src="{_stencil(small == k, facts.palette[k])}" alt="">'
        for k in range(facts.num_classes)
        if (small == k).any()
    )
    return (
        f'<figure><div class="stack"><img src="{data_uri(image.image, longest)}" alt="{escape(image.name)}">{layers}</div>'
        f"{scale_bar(image.image.shape[1], image.mpp)}"
        f"<figcaption><b>{escape(image.name)}</b>{image.note}</figcaption></figure>"
    )


def _stencil(where: np.ndarray, colour: Sequence[int]) -> str:
    """A PNG that has a colour where ``where`` is true, and nothing elsewhere."""
    picture = Image.fromarray(where.astype(np.uint8)).convert("P")
    picture.putpalette([255, 255, 255, *colour])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", bits=1, transparency=0, optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def round_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most ``most``."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(k * power for k in (1, 2, 5) if k * power <= most * (1 + 1e-9))


def scale_bar(width: int, mpp: float | None) -> str:
    """A bar of a round length, at most a third of a picture's width, and what it stands for; nothing without µm/px.

    Args:
        width: of the picture in px.
        mpp: µm per px.
    """
    if not mpp:
        return ""
    length = round_length(width * mpp / 3)
    text = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    return f'<div class="scale"><i style="width:{100 * length / (width * mpp):.2f}%"></i>{text}</div>'
