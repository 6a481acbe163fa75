"""From an image of any size to its label map: windows, networks, a folder of images (``inference``)."""

from .folder import SavePredictions, inference_entries
from .predict import ComparisonNetwork
from .windows import MultiWindowInferer

__all__ = [
    "ComparisonNetwork",
    "MultiWindowInferer",
    "SavePredictions",
    "inference_entries",
]
