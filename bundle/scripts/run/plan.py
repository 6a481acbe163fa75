"""About how long each stage of a pipeline takes beside the others, for the time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from ..core.recipes import config_files
from ..data.datalist import read_datalist

__all__ = ["stage_lengths"]

# seconds to train on a patch once, to make its pseudo masks, to report on it, and to score all methods on a test image;
# measured on GlaS with patches of 112 px, the report on drawn ones of 96 px; only how they stand to each other matters
_SECONDS = {"train_classifier": 0.022, "train": 0.033, "generate_pseudo_masks": 0.08, "report": 0.03, "evaluate": 2.0}


def stage_lengths(
    dataset_dir: str | Path, stages: Sequence[str], overrides: Mapping[str, Mapping[str, Any]], recipe: str | None = None
) -> dict[str, float]:
    """About how long stages take beside each other.

    Args:
        dataset_dir: prepared dataset.
        stages: names of the stages.
        overrides: per stage, ids of its configuration and their values.
        recipe: see :func:`~.pipeline.run_pipeline`.
    """
    patches = len(read_datalist(dataset_dir, "training", ("image",)))
    images = len(read_datalist(dataset_dir, "test", ("image",)))
    lengths = {}
    for name in stages:
        config = {**ConfigParser.load_config_files(config_files(name, recipe)), **overrides.get(name, {})}
        drawn = config.get("epoch_size")
        each = min(patches, drawn) if isinstance(drawn, int) else patches
        epochs = config.get("max_epochs", 1)
        count = images if name == "evaluate" else each * (epochs if isinstance(epochs, int) else 1)
        lengths[name] = max(1, count) * _SECONDS[name]
    return lengths
