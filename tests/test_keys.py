"""What a config's settings and parts are used for: each somewhere, under its own name or the one that the table has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from scripts.core.config_parts import id_of, references

CONFIGS = Path(BUNDLE_ROOT) / "configs"
STAGES = ("train_classifier", "generate_pseudo_masks", "train", "evaluate", "report", "inference")
# what the running configuration is asked for, so that nothing refers to it, and what a file of a dataset brings for others
ASKED = {"own", "overrides", "imports", "run"}
OF_OTHERS = {"pipeline": {"settings"}, "import_checkpoint": {"prepare", "settings"}}
# what stands under another name than its own, in all configs that have the place
PLACES = {
    "loss#weights": "layer_weights",
    "ema#model": "network",
    "teacher#prepare": "prepare_batch",
    "teacher#teacher": "averaged",
    "teacher#weights": "layer_weights",
    "train#preprocessing_transforms#0#size": "patch_size",
    "train#preprocessing#transforms": "train#preprocessing_transforms",
    "train#dataset#transform": "train#preprocessing",
    "train#handlers#1#decay": "pda_decay",
    "train#handlers#1#floor": "pda_floor",
    "train#handlers#1#start_epoch": "pda_start_epoch",
    "train#trainer#train_data_loader": "train#dataloader",
    "train#trainer#train_handlers": "train#handlers",
    "train#trainer#prepare_batch#prepare": "teacher",
    "train#trainer#prepare_batch#prob": "cutmix",
    "validate#preprocessing#transforms#0#size": "patch_size",
    "validate#dataset#transform": "validate#preprocessing",
    "validate#inferer#roi_size": "patch_size",
    "validate#inferer#sw_batch_size": "batch_size",
    "validate#additional_metrics#gate_threshold#highest": "gate_threshold",
    "validate#additional_metrics#gate_threshold#missed": "gate_missed",
    "validate#evaluator#val_data_loader": "validate#dataloader",
    "validate#evaluator#key_val_metric": "validate#key_metric",
    "dataset#transform": "preprocessing",
    "inferer#roi_size": "patch_size",
    "inferer#scales": "window_scales",
    "inferer#sw_batch_size": "batch_size",
    "handlers#1#show": "progress",
    "evaluator#val_data_loader": "dataloader",
    "evaluator#key_val_metric": "key_metric",
    "evaluator#val_handlers": "handlers",
}
# and where the same place has different ones
OF_ONE = {
    "train": {"validate#evaluator#network": "averaged"},
    "evaluate": {"handlers#0": "evaluation"},
    "report": {"handlers#0": "predictions", "preprocessing#transforms#0#size": "patch_size"},
    "inference": {"handlers#0": "save"},
}
# whole images, which differ in size
ONE_AT_A_TIME = {
    ("train", "validate#dataloader#batch_size"),
    *((s, "dataloader#batch_size") for s in ("evaluate", "inference")),
}


def _config(name):
    return ConfigParser.load_config_file(CONFIGS / f"{name}.yaml")


def _leaves(content, where=()):
    if isinstance(content, (dict, list)):
        for key, item in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _leaves(item, (*where, key))
    else:
        yield where, content


@pytest.mark.parametrize("name", sorted(p.stem for p in CONFIGS.glob("*.yaml") if "run" in _config(p.stem)))
def test_every_key_is_used(name):
    config = {k: v for k, v in _config(name).items() if k not in ASKED | OF_OTHERS.get(name, set())}
    used = {id_of(path[:depth]) for path in references(_config(name)) for depth in (1, 2)}
    whole = {id_of(path) for path in references(_config(name))}
    parts = {k: v for k, v in config.items() if isinstance(v, dict) and "_target_" not in v and k not in whole}
    assert {*config, *(f"{key}#{part}" for key, inner in parts.items() for part in inner)} <= used


def _wrong(name):
    """What stands in a wrong place, and constants that a key says."""
    config, places = _config(name), {**PLACES, **OF_ONE.get(name, {})}
    for where, value in _leaves(config):
        id = id_of(where)
        parts = value[1:].split("#") if re.fullmatch(r"@[\w#]+", str(value)) else None
        if where[0] in ("imports", "run") or id.startswith(("stage#reads", "stage#writes")):
            continue  # those of the stage: tests/test_wiring.py
        if id.startswith("inference#"):
            continue  # recorded for another stage
        if id in places:
            right = value == f"@{places[id]}"
        elif parts:
            right = parts[-1] == where[-1] and {parts[0], where[0]} != {"train", "validate"}
        else:  # a constant where a key says it
            right = len(where) == 1 or where[-1] not in config or str(value)[:1] in "$%" or (name, id) in ONE_AT_A_TIME
        if not right:
            yield f"{id}: {value}"


@pytest.mark.parametrize("name", STAGES)
def test_what_is_referred_to_stands_under_its_own_name_or_that_of_the_table(name):
    assert list(_wrong(name)) == []
