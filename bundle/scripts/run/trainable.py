"""Whether a run's dataset and settings can be trained with, asked before its first stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai.bundle import ConfigParser

from ..core.errors import root_cause
from ..core.recipes import config_files
from ..training import check_batches

__all__ = ["assert_trainable"]


def assert_trainable(
    dataset_dir: str, stages: Sequence[str], overrides: Mapping[str, Mapping[str, Any]], recipe: str | None, seed: int
) -> None:
    """Refuse what a training stage would refuse, perhaps hours later.

    Args:
        dataset_dir: prepared dataset.
        stages: names of the stages to run.
        overrides: ids and values by stage.
        recipe: recipe of the run.
        seed: seed of the run.

    Raises:
        ValueError: patches that nothing can be learnt from, or batches that cannot be trained on; the message says what is
            needed.
    """
    for name in stages:
        if name not in ("train_classifier", "train"):
            continue
        try:
            _check(name, {"dataset_dir": dataset_dir, "seed": seed, **overrides.get(name, {})}, recipe)
        except RuntimeError as error:  # as MONAI wraps what goes wrong in a configuration
            if (cause := root_cause(error)) is error:
                raise
            raise cause from error


def _check(name: str, settings: Mapping[str, Any], recipe: str | None) -> None:
    parser = ConfigParser()
    parser.read_config(config_files(name, recipe))
    parser.update(dict(settings))
    if name == "train_classifier":
        parser.get_parsed_content("data")  # its patches, labels and hold-out
    if parser.get_parsed_content("batch_size") == 1:
        try:
            check_batches(parser.get_parsed_content("network_def"), 1)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
