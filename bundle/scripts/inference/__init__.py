"""From an image of any size to its label map: a folder of images (``inference``), and the interface for Python.

Public are :func:`load_model`, :class:`TissueModel` and :class:`Segmentation`; everything else in ``scripts`` is internal.
"""

from .folder import SavePredictions, inference_entries
from .model import Segmentation, TissueModel, load_model
from .predict import ComparisonNetwork
from .windows import MultiWindowInferer

__all__ = [
    "ComparisonNetwork",
    "MultiWindowInferer",
    "SavePredictions",
    "Segmentation",
    "TissueModel",
    "inference_entries",
    "load_model",
]
