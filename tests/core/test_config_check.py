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


@pytest.mark.parametrize("word", ["maybe", "none", 2, None, 0.5, [], [True], {}, {"a": 1}])
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


def _having(key):
    """Configs that have a setting."""
    return [name for name in CHECKED if key in _merged([CONFIGS / f"{name}.yaml"])]


WRONG = [
    ("device", "cuda:99", "found 'cuda:99', expected a device of this machine: cpu"),
    ("device", "banana", "found 'banana', expected a device of this machine: cpu"),
    ("device", None, "found None, expected a device of this machine: cpu"),
    ("output_dir", 2024.5, "found 2024.5, expected a path"),
    ("output_dir", "", "found '', expected a path"),
    ("output_dir", True, "found True, expected a path"),
    ("model_dir", ["a"], "found ['a'], expected a path"),
    ("dataset_dir", "a\0b", "found 'a\\x00b', expected a path"),
    ("own", 1.5, "found 1.5, expected a path, or a list, each a path, or None"),
    ("experiment", None, "found None, expected a text"),
    ("window_scales", 1.0, "found 1.0, expected a list of up to 16, each a number from 0.1 to 10; write [1.0]"),
    ("window_scales", [1e9], "found [1000000000.0], expected a list of up to 16, each a number from 0.1 to 10"),
    ("window_scales", [], "found [], expected a list of up to 16"),
    ("scales", ["1"], "found ['1'], expected a list of up to 16"),
    ("seed", -1, "found -1, expected a whole number from 0 to 4294967295"),
    ("seed", 1.5, "found 1.5, expected a whole number from 0 to 4294967295"),
    ("seed", "one", "found 'one', expected a whole number from 0"),
    ("max_epochs", 0, "found 0, expected a whole number, 1 or more"),
    ("max_epochs", "5", "found '5', expected a whole number, 1 or more, and no text"),
    ("max_epochs", True, "found True, expected a whole number"),
    ("max_epochs", {"train": 5}, "found {'train': 5}, expected a whole number"),
    ("batch_size", 0, "found 0, expected a whole number, 1 or more"),
    ("epoch_size", 0, "found 0, expected a whole number, 1 or more, or None"),
    ("learning_rate", "abc", "found 'abc', expected a number above 0"),
    ("learning_rate", "5e-4", "found '5e-4', expected a number above 0, and no text"),
    ("learning_rate", 0, "found 0, expected a number above 0"),
    ("weight_decay", float("nan"), "found nan, expected a number, 0 or more"),
    ("holdout", 2, "found 2, expected a number from 0 to below 1"),
    ("num_workers", -1, "found -1, expected a whole number from 0 to 256"),
    ("overlap", 1.0, "found 1.0, expected a number from 0 to below 1"),
    ("patience", 0, "found 0, expected a whole number, 1 or more"),
    ("val_interval", 0, "found 0, expected a whole number, 1 or more"),
    ("cache_num", -3, "found -3, expected a whole number, 0 or more"),
    ("gallery", -1, "found -1, expected a whole number, 0 or more"),
    ("flips", "maybe", "found 'maybe', expected True or False"),
    ("layers", "stage4", "found 'stage4', expected a list, each a text"),
    ("layer_weights", 0.5, "found 0.5, expected a list, each a number, 0 or more; write [0.5]"),
    ("consensus", [1.0, "a"], "found [1.0, 'a'], expected a list, each a number, 0 or more, or None"),
    ("output_format", "bmp", "found 'bmp', expected one of png, nii.gz, nrrd"),
    ("section", "val", "found 'val', expected one of training, validation, test"),
    ("gate_threshold", 1, "found 1, expected a number from 0 to below 1"),
    ("gate_threshold", float("nan"), "found nan, expected a number from 0 to below 1"),
    ("mpp", 0, "found 0, expected a number from 0.01 to 100 µm/px, or a list of 2, each a number from 0.01 to 100 µm/px, or None"),
    ("mpp", "x", "found 'x', expected a number from 0.01 to 100 µm/px, or a list of 2, each a number from 0.01 to 100 µm/px, or None"),
    ("cutmix", 2, "found 2, expected a number from 0 to 1"),
    ("ema_epochs", -1, "found -1, expected a number, 0 or more"),
    ("self_training", 3, "found 3, expected settings by their names: weight, start, full, prior, min_share"),
    ("self_training#weight", 2, "found 2, expected a number from 0 to 1"),
    ("stain", None, "found None, expected settings by their names: scale, shift, brightness"),
    ("stain#scale", "a", "found 'a', expected a number from 0 to below 1"),
    ("inference#window_scales", 2, "found 2, expected a list of up to 16"),
    ("masker#context", 7, "found 7, expected a number from 0 to 1"),
    ("masker#refinement#crf", "x", "found 'x', expected settings by their names: radius"),
    ("masker#refinement#features", "stage1", "found 'stage1', expected a list, each a text; write [stage1]"),
    ("network_def#dropout", "x", "found 'x', expected a number"),
    ("loss", "mse", "found 'mse', expected a part, {'_target_': ...}, or an expression"),
    ("handlers", 3, "found 3, expected a list; write [3]"),
    ("stages", "train", "found 'train', expected a list, each a text; write [train]"),
    ("num_train", 0, "found 0, expected a whole number, 1 or more"),
    ("patch_size", 7, "found 7, expected a"),
    ("patch_size", [7, 224], "found [7, 224], expected a"),
    ("seconds_per_mm", -1, "found -1, expected a number above 0, or None"),
    ("prepare", 3, "found 3, expected settings by their names, {name: value}"),
    ("settings", ["train"], "found ['train'], expected settings by their names, {name: value}"),
    ("overrides", "train", "found 'train', expected settings by their names, {name: value}"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "value", "says"), WRONG)
def test_a_wrong_value_is_one_line_in_every_config_that_has_the_setting(id, value, says):
    names = [n for n in _having(id.split("#")[0]) if id != "network_def#dropout" or n == "train_classifier"]
    names = [n for n in names if not id.startswith("masker#ref") or n == "generate_pseudo_masks"]
    names = [n for n in names if not id.startswith(("loss", "handlers")) or n in ("train", "evaluate")]
    assert names
    for name in names:
        with pytest.raises(ValueError) as error:
            _check(name, **{id: value})
        assert str(error.value).startswith(f"{id}: {says}") and "\n" not in str(error.value)


def test_a_number_may_be_wrong_in_itself_everywhere():
    """No config lets pass what is no number where its own value is one, or a text where it has a list."""
    for name in CHECKED:
        for key, value in _merged([CONFIGS / f"{name}.yaml"]).items():
            if isinstance(value, (int, float, list, dict)) and key not in ("_meta_", "imports", "run", "train", "validate"):
                with pytest.raises(ValueError, match=f"{key}: found 'banana', expected "):
                    _check(name, **{key: "banana"})


@pytest.mark.parametrize(
    ("name", "overrides", "meant"),
    [
        ("train", {"output_dir": 2024, "experiment": 7, "model_dir": Path("m")}, {"output_dir": "2024", "experiment": "7", "model_dir": "m"}),
        ("annotation_cost", {"output": 5}, {"output": "5"}),
        ("generate_pseudo_masks", {"layers": [4, "b"]}, {"layers": ["4", "b"]}),
        ("inference", {"device": "cpu"}, {"device": "$torch.device('cpu')"}),
        ("pipeline", {"settings": None, "overrides": {"train": None}, "dataset": None}, {"settings": {}, "overrides#train": {}, "dataset": {}}),
        ("inference", {"dataset_dir": ["a.png", "b.png"], "mpp": 1, "window_scales": (1, 2.5), "seed": 2**32 - 1}, {}),
        ("train", {"learning_rate": 1, "epoch_size": 5, "keep": None, "layers": ["a"], "max_epochs": "$2", "layer_weights": ["$1", 2]}, {}),
    ],
)  # fmt: skip
def test_what_is_meant_is_taken(name, overrides, meant):
    assert _check(name, **overrides) == meant


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ({"classes": "ab"}, "dataset#classes: found 'ab', expected a list of names"),
        ({"mpp": "x"}, "dataset#mpp: found 'x', expected a number from 0.01 to 100 µm/px"),
        ({"white_background": "some"}, "dataset#white_background: found 'some', expected True or False"),
        ({"classes": ["a"], "palette": [[0, 0, 0.5]]}, "dataset#palette, colour 0: found"),
        ({"classes": ["a"], "mask_values": {1: "b"}}, "dataset#mask_values, value 1: found 'b'"),
        ([1], "dataset: found [1], expected settings by their names"),
    ],
)
@pytest.mark.parametrize("name", ["prepare", "pipeline", "import_checkpoint"])
def test_facts_are_checked_before_anything_is_read(name, dataset, says):
    with pytest.raises(ValueError) as error:
        _check(name, dataset=dataset)
    assert str(error.value).startswith(says)
    assert _check(name, dataset={"palette": [[0, 0, 0]], "mpp": "$1.0", "clases": ["a"]}) == {}  # by whoever takes them


@pytest.mark.parametrize("name", ["pipeline", "demo"])
@pytest.mark.parametrize("values", [3, "x", [1], True])
def test_settings_of_a_stage_are_a_mapping(name, values):
    with pytest.raises(ValueError) as error:
        _check(name, overrides={"train": values})
    assert (
        str(error.value)
        == f"overrides#train: found {values!r}, expected settings of the stage by their ids, {{'max_epochs': 20}}"
    )


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
