"""What MONAI's trainers need beyond MONAI: losses, self-training, CutMix, resuming (``train_classifier``, ``train``)."""

from .cutmix import CutMixBatch
from .engines import ClassificationScore, PrepareBatch, keep_entries, label_maps
from .every_depth import EveryDepthLoss
from .gate_thresholds import GateThresholds
from .handlers import EpochSeed, parameter_groups
from .self_training import SelfTraining
from .session import TrainingSession, check_batches
from .several import draw
from .supervision import MultiLayerPseudoSupervisionLoss
from .temperature import Temperature
from .validation_scores import validation_metric, validation_score

__all__ = [
    "ClassificationScore",
    "CutMixBatch",
    "EpochSeed",
    "EveryDepthLoss",
    "GateThresholds",
    "MultiLayerPseudoSupervisionLoss",
    "PrepareBatch",
    "SelfTraining",
    "Temperature",
    "TrainingSession",
    "check_batches",
    "draw",
    "keep_entries",
    "label_maps",
    "parameter_groups",
    "validation_metric",
    "validation_score",
]
