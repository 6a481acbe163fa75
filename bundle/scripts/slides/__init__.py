"""Whole slides: reading at any resolution, and where their tissue is."""

from .slide_pixels import UnreadableRegion
from .slide_reading import Slide, open_slide

__all__ = [
    "Slide",
    "UnreadableRegion",
    "open_slide",
]
