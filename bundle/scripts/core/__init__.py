"""What every room uses, and which uses none: dataset facts, images and their pictures, metrics, precision, names, atomic
writes, errors, and the check of a configuration's settings."""

from .facts import DATALIST_NAME, DatasetFacts, load_facts
from .metrics import TissueScores
from .precision import MixedPrecisionInferer, prefers_bfloat16
from .processes import is_main, process_device, shared_out
from .progress import EngineProgress
from .recipes import config_files
from .settings import check_settings, running_config

__all__ = [
    "DATALIST_NAME",
    "DatasetFacts",
    "EngineProgress",
    "MixedPrecisionInferer",
    "TissueScores",
    "check_settings",
    "config_files",
    "is_main",
    "load_facts",
    "prefers_bfloat16",
    "process_device",
    "running_config",
    "shared_out",
]
