"""Whole slides: read at the model's µm/px, segmented in one pass of bounded memory, written for other programs; cut into
patches to learn from; and cohorts of them (``inference_wsi``)."""

from .cohort import run_cohort
from .cohort_inputs import stage_folder
from .cut_slides import SlideCutter
from .segment_slide import SlideSegmenter
from .tissue_choice import region_files

__all__ = ["SlideCutter", "SlideSegmenter", "region_files", "run_cohort", "stage_folder"]
