"""What MONAI's trainers need beyond MONAI: losses, self-training, CutMix, resuming (``train_classifier``, ``train``)."""

from .cutmix import CutMixBatch
from .engines import ClassificationScore, PrepareBatch, keep_entries, label_maps
from .every_depth import EveryDepthLoss
from .handlers import BestModel, EpochSeed, History, Resume, draw, parameter_groups
from .self_training import SelfTraining
from .supervision import MultiLayerPseudoSupervisionLoss

__all__ = [
    "BestModel",
    "ClassificationScore",
    "CutMixBatch",
    "EpochSeed",
    "EveryDepthLoss",
    "History",
    "MultiLayerPseudoSupervisionLoss",
    "PrepareBatch",
    "Resume",
    "SelfTraining",
    "draw",
    "keep_entries",
    "label_maps",
    "parameter_groups",
]
