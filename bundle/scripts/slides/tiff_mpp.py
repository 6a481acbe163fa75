"""What a TIFF file that OpenSlide does not read says of its pixel size."""

from __future__ import annotations

import html
import math
import re

import tifffile

from ..core.geometry import MICROMETRES, ome_size
from .slide_pixels import StatedMpp

__all__ = ["tiff_mpp"]


def tiff_mpp(file: tifffile.TiffFile, series: int) -> StatedMpp | None:
    """Pixel size of one of a file's series, by OME-XML, ImageJ, Aperio's ``MPP`` or the resolution, believed or not.

    Args:
        file: an open file.
        series: number of the series.
    """
    page = file.series[series].keyframe
    text = file.pages[0].description or ""
    if file.is_ome:
        pixels = re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", file.ome_metadata or "")
        if series < len(pixels) and "PhysicalSizeX" in pixels[series]:
            y, x = (ome_size(html.unescape(pixels[series]), axis) for axis in "YX")
            return StatedMpp((y, x), "OME PhysicalSize") if y > 0 and x > 0 else None
    if found := re.search(r"\bMPP\s*=\s*(\d[\d.]*)", text):
        return StatedMpp((float(found[1]), float(found[1])), "MPP")
    try:
        y, x = (_per_unit(page.tags[name].value) for name in ("YResolution", "XResolution"))
        unit = {2: "inch", 3: "cm"}.get(int(page.tags.valueof("ResolutionUnit", default=2)))
    except (KeyError, ValueError, TypeError, ZeroDivisionError):
        return None
    if text.startswith("ImageJ="):
        named = re.search(r"^unit=(.*)$", text, flags=re.M)
        unit = named[1].strip().replace("\\u00B5", "µ") if named else None
    if unit not in MICROMETRES or not all(math.isfinite(v) and v > 0 for v in (y, x)):
        return None
    size = MICROMETRES[unit]
    return StatedMpp((float(f"{size / y:.6g}"), float(f"{size / x:.6g}")), "TIFF resolution")


def _per_unit(value: tuple[int, int]) -> float:
    above, below = value
    return above / below
