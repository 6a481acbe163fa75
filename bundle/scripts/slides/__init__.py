"""Whole slides and cohorts of them: read, segmented in bounded memory, written as files that pathologists' tools open."""

from .label_tiff import NOT_SEGMENTED, write_label_tiff
from .qupath import read_qupath, write_qupath
from .slide_areas import slide_areas
from .slide_overlay import write_slide_overlay

__all__ = ["NOT_SEGMENTED", "read_qupath", "slide_areas", "write_label_tiff", "write_qupath", "write_slide_overlay"]
