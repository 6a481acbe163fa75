"""Folders of runs of version 0.4 become folders of this version: their weights are described, their stages count."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser

from ..core.atomic import write_json
from ..core.facts import DatasetFacts, load_facts
from ..core.recipes import config_files, known_recipes
from ..networks.registry import build
from ..weights.description import FILES, describe, description_path
from ..weights.files import load_state, write_description
from ..weights.untrained import untrained_network
from .record import RECORD, carry, fingerprint, read_record

__all__ = ["upgrade"]

logger = logging.getLogger(__name__)

_FACTS_NAME = "classes.json"
_STAGES = {"classifier": "train_classifier", "segmenter": "train"}
# what the stages of 0.4 depended on
_INPUT = re.compile(r"\$@(\w+) \+ '([^']*)'")


def upgrade(model_dir: str, output_dir: str | None = None, recipe: str | None = None) -> list[Path]:
    """Describe the weights of a run of version 0.4, and let its stages count as they are.

    Nothing is trained, and no weights are written. The networks are those of the run's own configuration, which lies in
    the folders of its stages, or those of a recipe.

    Args:
        model_dir: folder of the weights and ``classes.json``.
        output_dir: folder of the run; the one that holds ``model_dir`` by default.
        recipe: name or folder of the recipe, where no configuration says it; ``"default"`` for the default method.

    Returns:
        The descriptions written.

    Raises:
        FileNotFoundError: no ``classes.json``, or neither weights nor stages.
        ValueError: nothing says which networks these are, or the weights are of others.
    """
    models = Path(model_dir)
    output = models.absolute().parent if output_dir is None else Path(output_dir)
    facts = load_facts(models / _FACTS_NAME)
    recipe = _recipe(output) if recipe is None else recipe
    found = {kind: models / name for kind, name in FILES.items() if (models / name).is_file()}
    stages = sorted(p.parent for p in output.glob(f"*/{RECORD}"))
    if not found and not stages:
        raise FileNotFoundError(f"{models}: found none of {', '.join(FILES.values())}, and no stage in {output}")
    contents = {kind: _content(kind, path, facts, output, recipe) for kind, path in found.items()}
    for kind, path in found.items():
        write_description(path, contents[kind], _scores(output / _STAGES[kind]))
        logger.info("%s: described in %s", path, description_path(path))
    for folder in stages:
        _carry_stage(folder)
    return [description_path(path) for path in found.values()]


def _content(kind: str, path: Path, facts: DatasetFacts, output: Path, recipe: str | None) -> dict[str, Any]:
    """The description of one file of weights, once its network is known to be theirs."""
    config = _config(output / _STAGES[kind])
    if config:
        network = build(_definition(config, facts), str(output / _STAGES[kind] / "config.yaml"))
    elif recipe is not None:
        network = untrained_network(kind, facts.num_classes, None if recipe == "default" else recipe)
    else:
        raise ValueError(
            f"{path}: nothing says which network this is, as {output / _STAGES[kind] / 'config.yaml'} is absent; name the "
            f"folder of the run (--output_dir) or its recipe (--recipe default, or one of {known_recipes()})"
        )
    load_state(network, path)
    merged = ConfigParser.load_config_files(config_files(_STAGES[kind], None if recipe in (None, "default") else recipe))
    how = {key: merged[key] for key in ("gate_threshold", "inference") if key in merged}
    if facts.patch_size is None:
        raise ValueError(f"{path.parent / _FACTS_NAME}: lacks patch_size, (height, width) in px")
    content = describe(network, kind, facts, facts.patch_size, recipe, config.get("seed"), **how)
    made = output / _STAGES[kind] / "environment.json"
    if made.is_file():  # that of the training, not of today
        content.update(json.loads(made.read_text(encoding="utf-8")))
    content["bundle_version"] = "0.4"
    return content


def _definition(config: Mapping[str, Any], facts: DatasetFacts) -> dict[str, Any]:
    """The network of a recorded training as its definition. No expression of it is evaluated."""

    def resolve(value: Any) -> Any:
        if value == "$@facts.num_classes":
            return facts.num_classes
        if isinstance(value, str) and re.fullmatch(r"@\w+", value):
            return resolve(config.get(value[1:]))
        if isinstance(value, Mapping):
            arguments = {k: resolve(v) for k, v in value.items() if k != "_target_" and v is not None}
            if "pretrained" in arguments:
                arguments["pretrained"] = False
            return {"component": str(value.get("_target_")).rpartition(".")[2], "arguments": arguments}
        return value

    return resolve(config["network_def"])


def _carry_stage(folder: Path) -> None:
    """Note in a stage's record what it was made from, if that is still what it says."""
    record, config = read_record(folder), _config(folder)
    named = config.get("stage", {}).get("inputs")
    if "carried" in record or not isinstance(named, list):  # the pipeline, and inference, which depends on its images
        return
    inputs = [Path(_path(text, config)) for text in named]
    if all(p.is_file() for p in inputs) and record.get("fingerprint") == fingerprint(config, inputs, "None"):
        write_json(folder / RECORD, {**record, "carried": carry(config, inputs)})
        logger.info("%s: %s, counts as it is", folder, record["state"])
    else:
        logger.warning("%s: made from files that have changed since, or are no longer there; it will run anew", folder)


def _path(text: str, config: Mapping[str, Any]) -> str:
    """A file that a recorded configuration names as ``$@folder + '/name'``."""
    match = _INPUT.fullmatch(text)
    return f"{_path(config[match[1]], config)}{match[2]}" if match else text


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _recipe(output: Path) -> str | None:
    config = _config(output / "pipeline")
    return (config.get("recipe") or "default") if config else None


def _scores(folder: Path) -> dict[str, float]:
    """Validation scores of the epoch that a training kept."""
    try:
        epoch = int(torch.load(folder / "last.pt", map_location="cpu", weights_only=True)["best"]["epoch"])
        rows = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        row = next(r for r in rows if r["epoch"] == epoch)
    except (OSError, ValueError, KeyError, RuntimeError, StopIteration):
        return {}
    return {"epoch": epoch, **{k.removeprefix("val_"): v for k, v in row.items() if k.startswith("val_")}}
