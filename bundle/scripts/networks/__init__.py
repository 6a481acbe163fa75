"""Extractors (one file a backbone), classifiers and segmenter on any of them, and the gate between these."""

from .classifier import TissueClassifier
from .efficientnet import EfficientNetLite0
from .extractor import FeatureExtractor, ModuleExtractor
from .gate import GatedSegmenter
from .hierarchical import HierarchicalClassifier
from .pda import PDASchedule, ProgressiveDropoutAttention
from .resnet import ResNet
from .resnet38 import ResNet38
from .segmenter import DeepLabV3Plus

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
    "TissueClassifier",
]
