"""From raw data to a prepared dataset (``prepare``), its check and its cost in labels, and the transforms that read it."""

from .annotation_cost import annotation_cost
from .check import assert_sound
from .datalist import read_datalist
from .labelled_windows import ReadWindowd
from .layouts import register_layout
from .prepare import prepare, prepare_settings
from .split import classifier_data, patch_size, segmenter_data, supervised_data, validation_patches
from .split_summary import next_step
from .stain_jitter import RandStainJitterd
from .transforms import ReadImaged, ReadMasksd, ToUnitRanged

__all__ = [
    "RandStainJitterd",
    "ReadImaged",
    "ReadMasksd",
    "ReadWindowd",
    "ToUnitRanged",
    "annotation_cost",
    "assert_sound",
    "classifier_data",
    "next_step",
    "patch_size",
    "prepare",
    "prepare_settings",
    "read_datalist",
    "register_layout",
    "segmenter_data",
    "supervised_data",
    "validation_patches",
]
