"""Whole slides: read at the model's µm/px, segmented in one pass of bounded memory, written for other programs; cut into
patches to learn from; and cohorts of them (``inference_wsi``)."""

from .cut_slides import SlideCutter
from .slide_pixels import UnreadableRegion
from .slide_reading import Slide, open_slide
from .tissue import TissueMask, all_tissue, find_tissue
from .tissue_regions import tissue_from_geojson

__all__ = [
    "Slide",
    "SlideCutter",
    "TissueMask",
    "UnreadableRegion",
    "all_tissue",
    "find_tissue",
    "open_slide",
    "tissue_from_geojson",
]
