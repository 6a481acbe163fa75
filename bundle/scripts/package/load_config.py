"""``configs/train.json`` of a package, by which ``monai.bundle.load`` builds the network of its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from monai.bundle import ConfigParser

from ..core.recipes import config_files, known_recipes
from ..networks import __all__ as NETWORKS
from ..weights.description import Description

__all__ = ["load_config", "refuse_own_networks"]

_NOTE = (
    "Goes on from the weights of this package, on data of the same classes: train.yaml as its recipe has it, with the "
    "network as the weights have it. monai.bundle.load asks for this file by its name."
)
# MONAI puts a bundle on Python's path when a workflow runs, but load asks it for its network alone: the workflow that is
# being asked, on the stack, knows where its config is
_ON_PATH = (
    "$__import__('sys').path.insert(1, next((str(w.config_root_path.resolve().parent) for w in "
    "(f.frame.f_locals.get('self') for f in __import__('inspect').stack(0)) "
    "if 'config_root_path' in getattr(w, '__dict__', {})), ''))"
)


def load_config(segmenter: Description) -> dict[str, Any]:
    """The configuration of the segmenter's training, as JSON types, with its network as the weights have it.

    Args:
        segmenter: what its weights are, which are of the bundle's own networks.
    """
    recipe = segmenter.recipe if segmenter.recipe in known_recipes() else None
    parser = ConfigParser()
    parser.read_config(config_files("train", recipe))
    config = {"_note": _NOTE, **{k: v for k, v in parser.config.items() if k not in ("_meta_", "extractor")}}
    config["imports"] = [*config["imports"], "$from scripts.weights import load_weights"]
    config["model_dir"] = "$@output_dir + '/models'"  # the package's stay
    config["start_weights"] = "$@bundle_root + '/models/model.pt'"
    config["stage"]["inputs"] = ["@start_weights"]
    config["on_path"] = _ON_PATH
    network = _component(segmenter.network)
    config["network_def"] = {"_target_": network.pop("_target_"), "_requires_": "@on_path", **network}
    config["network"] = (
        "$load_weights(@start_weights, 'segmenter', @network_def, @facts).network.to(device=@device, "
        "memory_format=torch.channels_last)"
    )
    return json.loads(json.dumps(config))


def refuse_own_networks(description: Description) -> None:
    """See that weights are of the bundle's own networks, as a package holds no other.

    Raises:
        ValueError: they are of another.
    """
    for name in re.findall(r'"component": "(\w+)"', json.dumps(description.network)):
        if name not in NETWORKS:
            raise ValueError(
                f"the weights are of {name}, a network of your own: a package holds the bundle's own networks alone; put it "
                "into bundle/scripts/networks first, see CONTRIBUTING.md"
            )


def _component(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A network's definition as a component of a config."""
    arguments = {k: _component(v) if isinstance(v, Mapping) else v for k, v in definition["arguments"].items()}
    return {"_target_": f"scripts.networks.{definition['component']}", **arguments}
