"""Folders of runs of earlier versions become folders of this one: their weights are described, their stages count."""

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
from ..core.digest import file_sha256
from ..core.environment import bundle_version
from ..core.facts import DatasetFacts, load_facts
from ..core.recipes import config_files, known_recipes
from ..networks.registry import build
from ..weights.description import FILES, describe, description_path
from ..weights.files import load_state, write_description
from ..weights.untrained import untrained_network
from .carried import carry, earlier_fingerprint
from .holding import holding
from .record import RECORD, length, read_record

__all__ = ["upgrade"]

logger = logging.getLogger(__name__)

_FACTS_NAME = "classes.json"
_STAGES = {"classifier": "train_classifier", "segmenter": "train"}
# what the stages of 0.4 depended on, and those of 0.5 that read weights
_INPUT = re.compile(r"\$@(\w+) \+ '([^']*)'")
_INPUTS = re.compile(r"\$\[@dataset_dir \+ '(/datalist\.json)', \*described_files\(@model_dir, ([\w', ]+)\)\]")


def upgrade(model_dir: str, output_dir: str | None = None, recipe: str | None = None) -> list[Path]:
    """Describe the weights of a run of version 0.4, and let the stages of a run of 0.4 or 0.5 count as they are.

    Nothing is trained, and no weights are written. The networks are those of the run's own configuration, which lies in
    the folders of its stages, or those of a recipe.

    Args:
        model_dir: folder of the weights, and of ``classes.json`` where they have no description.
        output_dir: folder of the run; the one that holds ``model_dir`` by default.
        recipe: name or folder of the recipe, where no configuration says it; ``"default"`` for the default method.

    Returns:
        The descriptions written.

    Raises:
        FileNotFoundError: weights without description and no ``classes.json``, or neither weights nor stages.
        ValueError: nothing says which networks these are, or the weights are of others.
        BlockingIOError: another process works in the folder.
    """
    models = Path(model_dir)
    output = models.absolute().parent if output_dir is None else Path(output_dir)
    found = {kind: models / name for kind, name in FILES.items() if (models / name).is_file()}
    bare = {kind: path for kind, path in found.items() if not description_path(path).is_file()}
    stages = sorted(p.parent for p in output.glob(f"*/{RECORD}"))
    facts = load_facts(models / _FACTS_NAME) if bare or not found else None
    if not found and not stages:
        raise FileNotFoundError(f"{models}: found none of {', '.join(FILES.values())}, and no stage in {output}")
    with holding(output, "the upgrade", [models]):
        recipe = _recipe(output) if recipe is None else recipe
        contents = {kind: _content(kind, path, facts, output, recipe) for kind, path in bare.items()}
        for kind, path in bare.items():
            write_description(path, contents[kind], _scores(output / _STAGES[kind]))
            logger.info("%s: described in %s", path, description_path(path))
        counting = [folder for folder in stages if _counts(folder)]
        for kind, path in found.items():
            if output / _STAGES[kind] in counting:
                _name_maker(path, output / _STAGES[kind])
        for folder in counting:  # with what depends on descriptions as they are now
            config, record = _config(folder), read_record(folder)
            noted = {"carried": carry(config, _inputs(config)), "max_epochs": length(config)}
            write_json(folder / RECORD, {**record, **noted})
            logger.info("%s: %s, counts as it is", folder, record["state"])
    return [description_path(path) for path in bare.values()]


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


def _counts(folder: Path) -> bool:
    """Whether a stage of an earlier version was made from what its configuration names as it is today."""
    record, config = read_record(folder), _config(folder)
    inputs, noted = _inputs(config), record.get("carried", {})
    if inputs is None or ("parts" in record and not noted) or noted.get("version") == bundle_version():
        return False  # the pipeline, and inference, which depends on its images; of this version; noted before
    if noted:  # by an earlier version of this command
        same = {str(p): file_sha256(p) for p in inputs if p.is_file()} == noted.get("files")
    else:
        same = all(p.is_file() for p in inputs) and record.get("fingerprint") == earlier_fingerprint(config, inputs)
    if not same:
        logger.warning("%s: made from files that have changed since, or are no longer there; it will run anew", folder)
    return same


def _name_maker(weights: Path, folder: Path) -> None:
    """Note in the description of weights which stage made them."""
    content = json.loads(description_path(weights).read_text(encoding="utf-8"))
    write_json(description_path(weights), {**content, "fingerprint": read_record(folder).get("fingerprint")})


def _inputs(config: Mapping[str, Any]) -> list[Path] | None:
    """Files that a recorded stage depended on; ``None`` if that is not known of it."""
    named = config.get("stage", {}).get("inputs")
    if isinstance(named, list):
        return [Path(_path(text, config)) for text in named]
    match = _INPUTS.fullmatch(named) if isinstance(named, str) else None
    if match is None:
        return None
    weights = [Path(_path("@model_dir", config)) / FILES[kind] for kind in re.findall(r"\w+", match[2])]
    files = [file for path in weights for file in (path, description_path(path))]
    return [Path(_path("@dataset_dir", config) + match[1]), *files]


def _path(text: str, config: Mapping[str, Any]) -> str:
    """A file or folder that a recorded configuration names as itself, ``@folder`` or ``$@folder + '/name'``."""
    match = _INPUT.fullmatch(text)
    if match:
        return f"{_path(config[match[1]], config)}{match[2]}"
    return _path(config[text[1:]], config) if text.startswith("@") else text


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
