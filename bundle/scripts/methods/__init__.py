"""Other methods to compare with, each in one file: HistoSegNet and SC-CAM (see ``configs/recipes``)."""

from .histosegnet import HistoSegNetMasker
from .sc_cam import SubCategories, SubCategoryLoss

__all__ = [
    "HistoSegNetMasker",
    "SubCategories",
    "SubCategoryLoss",
]
