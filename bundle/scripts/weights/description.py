"""What weights are, as a JSON file beside them: network, classes, scale, how they were made and how they are used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from ..core.environment import environment
from ..core.facts import DatasetFacts
from ..core.paths import BUNDLE_ROOT
from ..core.ranges import PROBABILITY, WINDOW_SCALE, Number, shown
from ..networks.registry import definition

__all__ = ["FILES", "Description", "describe", "described_files", "description_path", "read_description"]

#: File of the weights of each kind of network.
FILES = {"classifier": "classifier.pt", "segmenter": "model.pt"}
_FORMAT = 1
_MAX_BYTES = 2**20
# of `inference`: what weights of before version 0.7 do not say
_OPTIONAL = {"overlap", "turned", "gate_threshold"}
_MAX_SCALES = 16
_MAX_WINDOW = 8192  # px
_NORMALISATION = {"mean": Number(), "std": Number(0, above=True)}
# file beside the weights of version 0.4 and before
_FACTS_NAME = "classes.json"


@dataclass(frozen=True)
class Description:
    """Content of the JSON file beside weights, checked.

    Args:
        kind: ``"classifier"`` or ``"segmenter"``.
        network: see :func:`~scripts.networks.definition`.
        facts: classes, palette, white background; ``patch_size`` (height, width) in px and ``mpp`` in µm/px of the patches
            that were trained on.
        recipe: name of the recipe.
        sha256: of the file of weights, in hexadecimal.
        gate_threshold: of a classifier: classes that it gives at most this probability, in [0, 1), are gated.
        inference: of a segmenter: ``flips`` and ``window_scales`` (up to 16, each 0.1 to 10) that its predictions are
            averaged over; ``turned``: over the image turned by 180° too; ``overlap`` of the windows, in [0, 1);
            ``gate_threshold`` in them, in [0, 1), if not the classifier's.
        scores: validation scores of the epoch that was kept.
        content: everything that the file holds.
    """

    kind: str
    network: Mapping[str, Any]
    facts: DatasetFacts
    recipe: str
    sha256: str
    gate_threshold: float | None = None
    inference: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def patch_size(self) -> tuple[int, int]:
        """(height, width) in px of the patches that were trained on: the size of windows at scale 1."""
        return self.facts.patch_size


def describe(
    network: nn.Module,
    kind: str,
    facts: DatasetFacts,
    patch_size: Sequence[int],
    recipe: str | None = None,
    seed: int | None = None,
    gate_threshold: float | None = None,
    inference: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What is known of weights before they are trained; :func:`~.files.save_weights` adds scores and digest.

    Args:
        network: the network, of registered components.
        kind: ``"classifier"`` or ``"segmenter"``.
        facts: of the dataset, ``mpp`` as its patches have it after scaling.
        patch_size: (height, width) in px of the patches.
        recipe: name or folder of the recipe; ``"default"`` by default.
        seed: seed of the training.
        gate_threshold: see :class:`Description`.
        inference: see :class:`Description`.

    Raises:
        ValueError: a component that is not registered, or values that do not fit.
    """
    metadata = json.loads((Path(BUNDLE_ROOT) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    content: dict[str, Any] = {
        "format": _FORMAT,
        "kind": kind,
        "bundle_version": metadata["version"],
        "recipe": Path(recipe).name if recipe else "default",
        "network": definition(network),
        "dataset": replace(facts, patch_size=tuple(patch_size), published={}).to_dict(),
        "input": {"channels": "RGB", "range": [0, 1], "normalised_by": "the network", **network.extractor.normalisation},
    }
    if kind == "classifier":
        content["gate_threshold"] = gate_threshold
    else:
        content["inference"] = {k: list(v) if isinstance(v, (list, tuple)) else v for k, v in (inference or {}).items()}
    content.update(environment(seed))
    _checked({**content, "sha256": "0" * 64}, "description")
    return content


def description_path(weights: str | Path) -> Path:
    """The JSON file beside a file of weights."""
    return Path(weights).with_suffix(".json")


def existing(weights: str | Path) -> Path:
    """The path of weights that are there.

    Raises:
        FileNotFoundError: they are not.
        ValueError: a folder has their name.
    """
    weights = Path(weights)
    if weights.is_dir():
        raise ValueError(f"{weights}: found a folder, expected a file of weights")
    if not weights.is_file():
        raise FileNotFoundError(f"no weights at {weights}: train first, or name a folder that holds {weights.name}")
    return weights


def described_files(model_dir: str | Path, *kinds: str) -> list[str]:
    """Files of weights of some kinds and their descriptions, which a stage depends on.

    Raises:
        FileNotFoundError: weights that are absent.
        ValueError: see :func:`read_description`.
    """
    files = []
    for kind in kinds:
        path = Path(model_dir) / FILES[kind]
        read_description(path, kind)
        files += [str(existing(path)), str(description_path(path))]
    return files


def read_description(weights: str | Path, kind: str | None = None) -> Description:
    """Read what a file of weights is. Nothing is built, and nothing in the file is trusted.

    Args:
        weights: the file of weights; it need not be there.
        kind: kind that is expected; ``None``: any.

    Raises:
        FileNotFoundError: neither weights nor description.
        ValueError: no description (the message says how to write one), a malformed one, or one of another kind.
    """
    weights = Path(weights)
    path = description_path(weights)
    if not path.is_file():
        raise _undescribed(weights)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path}: found {path.stat().st_size} bytes, expected a description of at most {_MAX_BYTES}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path}: not readable as JSON: lists and mappings within each other without end") from error
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    result = _checked(content, str(path))
    if kind is not None and result.kind != kind:
        raise ValueError(f"{path}: describes a {result.kind}, expected a {kind}")
    return result


def _undescribed(weights: Path) -> ValueError:
    existing(weights)
    command = f"python -m monai.bundle run --config_file bundle/configs/upgrade.yaml --model_dir {weights.parent}"
    if (weights.parent / _FACTS_NAME).is_file():
        return ValueError(
            f"{weights}: weights of version 0.4, without {description_path(weights).name}; write it once by: {command}"
        )
    return ValueError(
        f"{weights}: nothing says what these weights are, as {description_path(weights).name} is not beside them; copy it "
        "from where they were trained, or import published checkpoints by import_checkpoint.yaml"
    )


def _checked(content: Any, source: str) -> Description:
    needed = ("format", "kind", "network", "dataset", "recipe", "sha256")
    if not isinstance(content, dict) or any(content.get(key) is None for key in needed):
        found = shown(sorted(content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{source}: expected a description with {', '.join(needed)}, found {found}")
    if content["format"] != _FORMAT:
        raise ValueError(f"{source}: found format {shown(content['format'])}, this version reads {_FORMAT}")
    kind, recipe, digest = content["kind"], content["recipe"], content["sha256"]
    if kind not in list(FILES) or not isinstance(recipe, str):
        raise ValueError(f"{source}: found kind {shown(kind)} and recipe {shown(recipe)}, expected {list(FILES)} and a name")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"{source}: found sha256 {shown(digest)}, expected 64 hexadecimal digits")
    facts = DatasetFacts.from_dict(content["dataset"], source)
    if facts.patch_size is None:
        raise ValueError(f"{source}: the dataset lacks patch_size, (height, width) in px")
    arguments = content["network"].get("arguments") if isinstance(content["network"], dict) else None
    outputs = arguments.get("num_classes") if isinstance(arguments, dict) else None
    if outputs != facts.num_classes:
        raise ValueError(
            f"{source}: a network of {shown(outputs)} classes for the {facts.num_classes} classes "
            f"{shown(list(facts.classes))}"
        )
    white = content["dataset"].get("white_background")
    if not isinstance(white, bool):  # a program wrote this file: what is spelt otherwise was changed since
        raise ValueError(f"{source}: dataset#white_background: found {shown(white)}, expected true or false")
    threshold, inference = content.get("gate_threshold"), content.get("inference")
    if kind == "classifier":
        PROBABILITY.check(threshold, f"{source}: gate_threshold, a probability")
    elif not _fits(inference):
        raise ValueError(
            f"{source}: found inference {shown(inference)}, expected flips (true or false) and window_scales, a list of up "
            f"to {_MAX_SCALES}, each {WINDOW_SCALE}; and, if any, turned (true or false), overlap and gate_threshold, each "
            f"{PROBABILITY}"
        )
    elif max(facts.patch_size) * max(inference["window_scales"]) > _MAX_WINDOW:
        raise ValueError(
            f"{source}: found windows of {max(facts.patch_size)} px times {max(inference['window_scales'])}, expected at "
            f"most {_MAX_WINDOW} px"
        )
    given = content.get("input")
    if given is not None and not isinstance(given, dict):
        raise ValueError(f"{source}: found input {shown(given)}, expected channels, range and normalisation by their names")
    for key, range_ in _NORMALISATION.items():
        if given and key in given:
            range_.check_all(given[key], f"{source}: input#{key}", 3)
    scores = content.get("scores")
    return Description(
        kind=kind,
        network=content["network"],
        facts=facts,
        recipe=recipe,
        sha256=digest,
        gate_threshold=threshold if kind == "classifier" else None,
        inference=inference if kind == "segmenter" else {},
        scores=scores if isinstance(scores, dict) else {},
        content=content,
    )


def _fits(inference: Any) -> bool:
    if not isinstance(inference, dict) or set(inference) - _OPTIONAL != {"flips", "window_scales"}:
        return False
    flips, scales = inference["flips"], inference["window_scales"]
    listed = isinstance(scales, list) and 1 <= len(scales) <= _MAX_SCALES
    shares = all(inference.get(key, 0.0) in PROBABILITY for key in ("overlap", "gate_threshold"))
    switches = isinstance(flips, bool) and isinstance(inference.get("turned", False), bool)
    return switches and shares and listed and all(scale in WINDOW_SCALE for scale in scales)
