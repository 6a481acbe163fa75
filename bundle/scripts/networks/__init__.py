"""Extractors (one file a backbone), classifiers and segmenter on any of them, and the gate between these."""

from .classifier import TissueClassifier
from .efficientnet import EfficientNetLite0
from .extractor import FeatureExtractor, ModuleExtractor
from .folding import folded
from .gate import GatedSegmenter
from .hierarchical import HierarchicalClassifier
from .pda import PDASchedule, ProgressiveDropoutAttention
from .registry import register
from .resnet import ResNet
from .resnet38 import ResNet38
from .segmenter import DeepLabV3Plus
from .subcategories import SubCategoryClassifier

__all__ = [
    "DeepLabV3Plus",
    "EfficientNetLite0",
    "FeatureExtractor",
    "GatedSegmenter",
    "HierarchicalClassifier",
    "ModuleExtractor",
    "PDASchedule",
    "ProgressiveDropoutAttention",
    "ResNet",
    "ResNet38",
    "SubCategoryClassifier",
    "TissueClassifier",
    "folded",
    "register",
]
