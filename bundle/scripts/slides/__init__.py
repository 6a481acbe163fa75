"""Whole slides, one or thousands: from gigapixels to label map, polygons, areas and pictures (``inference_wsi``)."""

from .cohort import run_cohort
from .cohort_inputs import SlideTask, cohort_slides

__all__ = ["SlideTask", "cohort_slides", "run_cohort"]
