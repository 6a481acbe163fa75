"""Networks that nobody has trained yet, as the configs of training define them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from ..core.facts import DatasetFacts
from ..core.paths import BUNDLE_ROOT
from ..core.recipes import config_files
from .description import description_path
from .files import build_network

__all__ = ["network_of", "untrained_network"]

_STAGES = {"classifier": "train_classifier", "segmenter": "train"}


def network_of(path: str | Path, kind: str) -> nn.Module:
    """The network that a file of weights is for, with random weights; before there are weights, the default one.

    MONAI's ``verify_net_in_out``, ``ckpt_export`` and ``onnx_export`` ask for it, trained or not.

    Args:
        path: file of weights.
        kind: ``"classifier"`` or ``"segmenter"``.

    Raises:
        ValueError: weights that nothing describes, or a description that does not fit.
    """
    path = Path(path)
    if path.is_file() or description_path(path).is_file():
        return build_network(path, kind)
    metadata = json.loads((Path(BUNDLE_ROOT) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return untrained_network(kind, metadata["network_data_format"]["outputs"]["pred"]["num_channels"])


def untrained_network(kind: str, num_classes: int, recipe: str | None = None) -> nn.Module:
    """The network that a recipe trains, with random weights.

    Args:
        kind: ``"classifier"`` or ``"segmenter"``.
        num_classes: number of tissue classes, white background not counted.
        recipe: see :func:`~scripts.core.config_files`.
    """
    parser = ConfigParser()
    parser.read_config(config_files(_STAGES[kind], recipe))
    parser["facts"] = DatasetFacts(classes=tuple(f"class {k}" for k in range(num_classes)))
    for key in ("extractor", "network_def"):
        if key in parser:
            _without_pretraining(parser[key])
    return parser.get_parsed_content("network_def")


def _without_pretraining(config: Any) -> None:
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "pretrained":
                config[key] = False
            _without_pretraining(value)
