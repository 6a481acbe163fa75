from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from scripts.core.config_check import checked
from scripts.core.recipes import config_files, known_recipes

CONFIGS = Path(BUNDLE_ROOT) / "configs"
DATASETS = ("bcss", "glas", "luad", "wsss4luad")
CHECKED = sorted(p.stem for p in CONFIGS.glob("*.yaml") if p.stem not in DATASETS)
STAGES = ("train_classifier", "generate_pseudo_masks", "train", "evaluate")


def _merged(files, resolve=False, **overrides):
    parser = ConfigParser()
    parser.read_config([str(f) for f in files])
    for id, value in overrides.items():
        parser[id] = value
    if resolve:
        parser.resolve_macro_and_relative_ids()
    return parser.config


def _check(name, **overrides):
    return checked(_merged([CONFIGS / f"{name}.yaml"], **overrides), name)


@pytest.mark.parametrize("name", CHECKED)
def test_every_config_is_checked_first(name):
    config = _merged([CONFIGS / f"{name}.yaml"])
    assert config["run"][0] == f"$check_settings('{name}')"
    assert "$from scripts.core import check_settings" in config["imports"]
    assert checked(config, name) == {}


@pytest.mark.parametrize("resolve", [False, True])
@pytest.mark.parametrize("recipe", known_recipes())
def test_every_recipe_fits(recipe, resolve):
    for stage in STAGES:
        assert checked(_merged(config_files(stage, recipe), resolve), stage) == {}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", ["pipeline", "prepare", "import_checkpoint"])
def test_every_dataset_file_fits_what_takes_one(name, dataset):
    assert checked(_merged([CONFIGS / f"{name}.yaml", CONFIGS / f"{dataset}.yaml"]), name) == {}


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("inference", {"flps": False}, "flps: inference.yaml has no setting 'flps'; did you mean 'flips'?"),
        ("train", {"learning_rte": 1}, "learning_rte: train.yaml has no setting 'learning_rte'; did you mean 'learning_rate'?"),
        ("check", {"x": 1}, "x: check.yaml has no setting 'x'; it has bundle_root, dataset_dir, report_dir"),
        ("train", {"flips": False}, "flips: train.yaml has no setting 'flips'; did you mean 'inference#flips'?"),
        ("train", {"initial_weights": "x.pth"}, "initial_weights: train.yaml has no setting 'initial_weights'; did you mean 'layer_weights'?"),
        ("pipeline", {"max_epochs": 2}, "max_epochs: pipeline.yaml has no setting 'max_epochs', train_classifier and train have it: write it in overrides, {'train_classifier': {'max_epochs': ...}}"),
        ("demo", {"max_epochs": 2}, "max_epochs: demo.yaml has no setting 'max_epochs'; did you mean 'overrides#train_classifier#max_epochs' or 'overrides#train#max_epochs'?"),
        ("pipeline", {"setings": {}}, "setings: pipeline.yaml has no setting 'setings'; did you mean 'settings'?"),
        ("train", {"self_training#wieght": 0}, "self_training#wieght: self_training has no setting 'wieght'; did you mean 'weight'?"),
        ("train", {"validate#infere": 0}, "validate#infere: validate has no setting 'infere'; did you mean 'inferer'?"),
        ("generate_pseudo_masks", {"masker#contxt": 0.1}, "masker#contxt: make_masker has no setting 'contxt'; did you mean 'context'?"),
        ("generate_pseudo_masks", {"masker#refinement#reductin": 1}, "masker#refinement#reductin: Refinement has no setting 'reductin'; did you mean 'reduction'?"),
        ("train", {"train#handlers#0#sed": 1}, "train#handlers#0#sed: EpochSeed has no setting 'sed'; did you mean 'seed'?"),
        ("train", {"loss": {"_target_": "torch.nn.CrossEntropyLoss", "weigth": 1}}, "loss#weigth: CrossEntropyLoss has no setting 'weigth'; did you mean 'weight'?"),
        ("train", {"train#preprocessing_transforms#2#prb": 1}, "train#preprocessing_transforms#2#prb: RandFlipd has no setting 'prb'; did you mean 'prob'?"),
    ],
)  # fmt: skip
def test_unknown_settings_name_the_nearest(name, overrides, message):
    with pytest.raises(ValueError) as error:
        _check(name, **overrides)
    assert str(error.value) == message


def test_every_fault_has_its_line():
    with pytest.raises(ValueError) as error:
        _check("inference", flps=1, gated="maybe", mpp="none")
    assert str(error.value).splitlines() == [
        "gated: found 'maybe', expected True or False",
        "mpp: found the text 'none', which counts as true; write None",
        "flps: inference.yaml has no setting 'flps'; did you mean 'flips'?",
    ]


@pytest.mark.parametrize(
    ("name", "overrides", "switches"),
    [
        ("inference", {"gated": "no", "compile": 1, "progress": "ON"}, {"gated": False, "compile": True, "progress": True}),
        # the defaults of these are expressions: what takes them says that they are switches
        ("inference", {"flips": "Off", "amp": 0}, {"flips": False, "amp": False}),
        ("train", {"inference#flips": "false"}, {"inference#flips": False}),
        ("train", {"extractor#pretrained": "no", "train#dataloader#drop_last": "no"}, {"extractor#pretrained": False}),
        ("generate_pseudo_masks", {"masker#flips": "yes"}, {"masker#flips": True}),
        ("inference", {"evaluator#decollate": "off", "preprocessing#transforms#0#mark_faults": 1}, {"evaluator#decollate": False, "preprocessing#transforms#0#mark_faults": True}),
        ("inference", {"gated": "$1 > 2", "flips": "@gated", "amp": False}, {}),
    ],
)  # fmt: skip
def test_spellings_of_switches_are_put_right(name, overrides, switches):
    assert _check(name, **overrides) == switches


@pytest.mark.parametrize("word", ["maybe", "none", 2, None, 0.5])
@pytest.mark.parametrize(
    ("name", "key"),
    [("inference", "gated"), ("inference", "flips"), ("train", "amp"), ("generate_pseudo_masks", "masker#flips")],
)
def test_a_switch_takes_nothing_else(name, key, word):
    with pytest.raises(ValueError) as error:
        _check(name, **{key: word})
    assert str(error.value) == f"{key}: found {word!r}, expected True or False"


@pytest.mark.parametrize(
    ("word", "meant"), [("false", "False"), ("true", "True"), ("null", "None"), ("NULL", "None"), ("none", "None")]
)
@pytest.mark.parametrize(
    ("name", "key"),
    [("train", "cutmix"), ("train", "keep"), ("train", "self_training#weight"), ("generate_pseudo_masks", "masker#context")],
)
def test_words_of_json_are_refused_where_they_would_count_as_true(name, key, word, meant):
    with pytest.raises(ValueError) as error:
        _check(name, **{key: word})
    assert str(error.value) == f"{key}: found the text {word!r}, which counts as true; write {meant}"


def test_texts_that_only_look_like_words_of_json_are_left():
    loss = {"_target_": "torch.nn.CrossEntropyLoss", "reduction": "none"}
    assert _check("train", experiment="none", layers=["true"], keep="falsehood", loss=loss) == {}


def test_what_others_check_or_know_is_left():
    stages = {"train": {"cutmix": "true", "anything": 1}}
    assert _check("pipeline", overrides=stages, settings=stages, prepare={"strid": 1}, dataset={"clases": []}) == {}
    # metrics by names of one's own, a component that takes any argument, one that cannot be found, an object
    metric = {"_target_": "MeanDice", "include_background": False}
    assert _check("evaluate", **{"key_metric#dice": metric, "dataloader#pin_memory": True}) == {}
    assert _check("train", loss={"_target_": "nowhere.Loss", "flps": "no"}, optimizer=object()) == {}
    assert _check("train", loss={"_target_": "$torch.nn.CrossEntropyLoss", "flps": 1}) == {}
    assert _check("train", _note={"anything": "true"}, initialize=[], finalize=[]) == {}


def test_what_monai_tracks_with_is_known():
    settings = {"tracking_uri": "x", "experiment_name": "y", "run_name": None, "is_not_rank0": "$False"}
    assert _check("check", save_execute_config="$'x'", **settings) == {}
    with pytest.raises(ValueError, match=r"tracking_uri: check\.yaml has no setting 'tracking_uri'"):
        _check("check", **settings)


def test_a_recipe_may_bring_settings_of_its_own(tmp_path):
    """Those that something refers to, in whatever way."""
    own = tmp_path / "train.yaml"
    own.write_text(
        "rate: 0.25\ncutmix: '@rate'\n"
        "steps: {warm: 1, hot: 2}\nmax_epochs: $@steps#warm + @steps::hot\n"
        "helper: {_target_: torch.nn.CrossEntropyLoss, reduction: '@##how'}\nhow: mean\n"
        "loss: '%helper'\n"
    )
    files = [CONFIGS / "train.yaml", own]
    config = _merged(files)
    assert checked(config, "train") == {}
    # once MONAI has put the macro's content in place, or an override something else, the files tell that it was referred to
    for changed in (_merged(files, resolve=True), _merged(files, loss={"_target_": "torch.nn.MSELoss"})):
        assert checked(changed, "train", files=config) == {}
        with pytest.raises(ValueError, match=r"helper: train\.yaml has no setting 'helper'"):
            checked(changed, "train")
    own.write_text("rate: 0.25\ncutmx: '@rate'\n")
    with pytest.raises(ValueError) as error:
        checked(_merged(files), "train")
    assert str(error.value) == "cutmx: train.yaml has no setting 'cutmx'; did you mean 'cutmix'?"
