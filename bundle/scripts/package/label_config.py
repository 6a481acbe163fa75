"""``configs/inference.json`` of a package, by which MONAI Label segments images with its weights."""

from __future__ import annotations

import json
from typing import Any

from monai.bundle import ConfigParser

from ..core.recipes import config_files

__all__ = ["label_config"]

_NOTE = (
    "For MONAI Label, which asks for this file by its name: one image at a time, at the µm/px of the weights, as "
    "inference.yaml segments it. To segment a folder, run inference.yaml."
)
# what inference.yaml says is said there alone
_KEPT = (
    "bundle_root", "model_dir", "device", "batch_size", "gated", "quality", "scheme", "window_scales", "overlap", "flips",
    "turned", "gate_threshold", "facts", "patch_size", "network_def", "classifier_def", "segmenter", "classifier",
)  # fmt: skip


def label_config() -> dict[str, Any]:
    """``network_def``, ``preprocessing``, ``inferer`` and ``postprocessing`` of MONAI Label, as JSON types.

    It brings ``network_def`` with the weights of ``model.pt``. Within the inferer the classifier gates it. Label maps are
    turned for MONAI Label's writer, which takes them as ``(W, H)``.
    """
    parser = ConfigParser()
    parser.read_config(config_files("inference"))
    whole = parser.config
    config = {"_note": _NOTE, "imports": whole["imports"], **{key: whole[key] for key in _KEPT}}
    config["amp"] = False  # the device is what the server says, by its name
    config["value_range"] = whole["value_range"]
    config["preprocessing"] = {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "scripts.data.ReadImaged", "keys": "image", "value_range": "@value_range"},
            {"_target_": "scripts.data.ToUnitRanged", "keys": "image"},
        ],
    }
    config["inferer"] = {
        "_target_": "scripts.inference.GatedInferer",
        "inferer": whole["inferer"],
        "classifier": "$@classifier.network if @gated else None",
        **{key: f"@{key}" for key in ("gate_threshold", "flips", "turned", "amp")},
    }
    config["postprocessing"] = {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "scripts.inference.LabelMapd", "keys": "pred", "facts": "@facts"},
            {"_target_": "Transposed", "keys": "pred", "indices": [1, 0]},
        ],
    }
    return json.loads(json.dumps(config))
