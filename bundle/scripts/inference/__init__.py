"""From an image of any size to its label map: a folder of images (``inference``), and the interface for Python.

Public are :func:`load_model`, :class:`TissueModel` and :class:`Segmentation`; everything else in ``scripts`` is internal.
"""

from .certainty import fitted_temperature
from .command_line import next_command
from .folder import SavePredictions
from .gated_inferer import GatedInferer, LabelMapd
from .inputs import inference_inputs
from .model import Segmentation, TissueModel, load_model
from .pixel_size import PixelSize, ResamplingBatch, Scaled
from .predict import ComparisonNetwork
from .quality import gate_thresholds, inference_scheme
from .windows import MultiWindowInferer

__all__ = [
    "ComparisonNetwork",
    "GatedInferer",
    "LabelMapd",
    "MultiWindowInferer",
    "PixelSize",
    "ResamplingBatch",
    "SavePredictions",
    "Scaled",
    "Segmentation",
    "TissueModel",
    "fitted_temperature",
    "gate_thresholds",
    "inference_inputs",
    "inference_scheme",
    "load_model",
    "next_command",
]
