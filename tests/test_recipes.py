"""Recipes change the stages' configs and nothing else; the paper's runs, and its published checkpoints import and run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from published_files import published_names
from scripts import BUNDLE_ROOT
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from scripts.core.recipes import config_files
from scripts.data.datalist import write_datalist
from scripts.data.split import supervised_data
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset
from scripts.run.pipeline import run_pipeline

CONFIGS = Path(BUNDLE_ROOT) / "configs"
# a sixteenth of the width: the shape of the paper's networks at a fraction of their cost
NARROW = {
    "classifier_def#extractor#width": 1 / 16,
    "network_def#extractor#width": 1 / 16,
    "network_def#channels": 16,
    "network_def#low_channels": 8,
}
CLASSIFIER_ONLY = {"classifier_def#extractor#width": 1 / 16}


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    return write_demo_dataset(
        tmp_path_factory.mktemp("tissue") / "raw", num_train=12, num_val=1, num_test=2, patch_size=64, progress=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, tissue):
    folder = tmp_path_factory.mktemp("paper")
    places = {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}
    short = {"max_epochs": 2, "batch_size": 6}
    run_pipeline(
        source=str(tissue), dataset=DEMO_FACTS.to_dict(), prepare={"layout": "luad"}, recipe="paper", progress=False,
        overrides={"train_classifier": {**CLASSIFIER_ONLY, **short}, "generate_pseudo_masks": CLASSIFIER_ONLY,
                   "train": {**NARROW, **short}, "evaluate": NARROW},
        **places,
    )  # fmt: skip
    return places


def test_the_papers_pipeline_runs(run):
    scores = json.loads(Path(run["output_dir"], "evaluate/metrics.json").read_text())["scores"]
    assert [m for m in scores if m.startswith("CAM")] == ["CAM b4_5", "CAM b5_2", "CAM bn7"]
    state = torch.load(Path(run["model_dir"], "classifier.pt"), weights_only=True)
    assert "extractor.b7.conv_branch2b2.weight" in state and state["class_head.weight"].shape == (4, 256, 1, 1)


def test_frozen_layers_stay_and_the_last_epoch_is_kept(run):
    last = torch.load(Path(run["output_dir"], "train_classifier/last.pt"), weights_only=True)
    kept = torch.load(Path(run["model_dir"], "classifier.pt"), weights_only=True)
    assert last["epoch"] == 2 and all(torch.equal(kept[k], v) for k, v in last["network"].items())
    norms = [k for k in kept if k.endswith("running_mean")]
    assert norms and all((kept[k] == 0).all() for k in norms)
    config = ConfigParser.load_config_file(str(Path(run["output_dir"], "train_classifier/config.yaml")))
    assert config["best"]["metric"] is None


def test_settings_of_the_published_program():
    """What ConfigWorkflow sees once the recipe's files are merged."""

    def merged(stage):
        parser = ConfigParser()
        parser.read_config(config_files(stage, "paper"))
        parser.resolve_macro_and_relative_ids()
        return parser

    first, second = merged("train_classifier"), merged("train")
    assert (first["max_epochs"], first["batch_size"], first["learning_rate"]) == (20, 20, 0.01)
    assert first["optimizer"]["momentum"] == 5e-4 and first["weight_decay"] == 5e-4 and first["lr_scheduler"]["power"] == 0.9
    assert (first["pda_start_epoch"], first["pda_decay"], first["pda_floor"]) == (4, 0.98, 0.65)
    assert (second["max_epochs"], second["batch_size"], second["learning_rate"]) == (30, 20, 0.01)
    assert (
        second["optimizer"]["momentum"] == 0.9 and second["layer_weights"] == [0.2, 0.2, 0.6] and second["loss"]["published"]
    )
    names = [t["_target_"].rsplit(".", 1)[-1] for t in second["train"]["preprocessing_transforms"]]
    assert names == ["ReadImaged", "ReadMasksd", "RandFlipd", "ToUnitRanged", "RandGaussianSmoothd"]
    evaluation = merged("evaluate")
    assert evaluation["gated"] and evaluation["epsilon"] == 0.1 and evaluation["flips"] is False
    networks = [p["network_def"] for p in (merged("train"), evaluation)]
    assert networks[0] == networks[1] and networks[0]["extractor"]["multi_grid"] == [1, 2, 4]
    classifiers = [first["network_def"], merged("generate_pseudo_masks")["network_def"], evaluation["classifier_def"]]
    assert all(c["extractor"] == classifiers[0]["extractor"] for c in classifiers)


COMPARED = {
    "fully_supervised": ["CAM stage4", "CAM stage5", "CAM stage6"],
    "grad_cam": ["CAM stage4", "CAM stage5", "CAM stage6"],
    "histosegnet": ["CAM stage6"],
    "sc_cam": ["CAM stage6"],
    "sshr": ["CAM fused"],
    "wsss_tissue": ["CAM stage4", "CAM stage5", "CAM stage6"],
}


def test_a_recipe_takes_the_files_of_what_it_extends_first(tmp_path):
    files = [Path(f).relative_to(CONFIGS).as_posix() for f in config_files("generate_pseudo_masks", "sc_cam")]
    assert files == [
        "generate_pseudo_masks.yaml",
        "recipes/grad_cam/generate_pseudo_masks.yaml",
        "recipes/sc_cam/networks.yaml",
        "recipes/sc_cam/generate_pseudo_masks.yaml",
    ]
    merged = ConfigParser.load_config_files(config_files("generate_pseudo_masks", "sc_cam"))
    assert (merged["layers"], merged["consensus"], merged["flips"]) == (["stage6"], None, True)
    assert merged["masker"]["_target_"] == "scripts.pseudo_masks.PseudoMasker"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/recipe.yaml").write_text(f"extends: {tmp_path / 'a'}\n")
    with pytest.raises(ValueError, match="extends itself"):
        config_files("train", str(tmp_path / "a"))
    (tmp_path / "a/recipe.yaml").write_text("extends: unheard_of\n")
    with pytest.raises(ValueError, match="'unheard_of' is none of"):
        config_files("train", str(tmp_path / "a"))
    for content in ("", "sshr", "extend: sshr"):
        (tmp_path / "a/recipe.yaml").write_text(content)
        with pytest.raises(ValueError, match=r"recipe\.yaml: found .*expected 'extends: NAME'"):
            config_files("train", str(tmp_path / "a"))


@pytest.mark.parametrize(("epochs", "pda", "clusters"), [(8, 3, [3, 6]), (4, 2, [2, 3]), (20, 6, [6, 13])])
def test_schedules_of_the_compared_methods_follow_the_epochs(epochs, pda, clusters):
    for recipe, key, expected in (("wsss_tissue", "pda_start_epoch", pda), ("sc_cam", "cluster_epochs", clusters)):
        parser = ConfigParser()
        parser.read_config(config_files("train_classifier", recipe))
        parser.update({"max_epochs": epochs})
        assert parser.get_parsed_content(key) == expected


@pytest.mark.parametrize("recipe", COMPARED)
def test_recipes_of_the_comparison_run(recipe, tissue, tmp_path):
    places = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(tmp_path / "out"), "model_dir": str(tmp_path / "m")}
    networks = {"classifier_def#subcategories": 2} if recipe == "sc_cam" else {}
    first = {"max_epochs": 2, "batch_size": 6, **networks}
    results = run_pipeline(
        source=str(tissue), dataset=DEMO_FACTS.to_dict(), prepare={"layout": "luad"}, recipe=recipe, progress=False,
        overrides={"train_classifier": first, "generate_pseudo_masks": networks, "evaluate": networks,
                   "train": {"max_epochs": 1, "batch_size": 6}},
        **places,
    )  # fmt: skip
    methods = [m for m in results["scores"] if m.startswith("CAM")]
    assert methods == COMPARED[recipe]
    masks = {p.name for p in Path(places["output_dir"], "pseudo_masks").iterdir() if p.is_dir()}
    # full supervision has classifier and pseudo masks of grad_cam, whose depths have a consensus
    assert masks == {m.removeprefix("CAM ") for m in methods} | (
        {"consensus"} if recipe in ("fully_supervised", "grad_cam") else set()
    )
    if recipe == "sc_cam":
        state = torch.load(tmp_path / "m/classifier.pt", weights_only=True)
        assert state["centres"].shape[:2] == (4, 2)
    if recipe == "fully_supervised":
        record = json.loads(Path(places["output_dir"], "train/stage.json").read_text())
        assert record["state"] == "finished"
        config = ConfigParser.load_config_file(str(Path(places["output_dir"], "train/config.yaml")))
        assert config["layer_weights"] == [1.0] and "supervised_data" in config["data"]


def test_the_default_method_on_the_papers_networks(tissue, tmp_path):
    places = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(tmp_path / "out"), "model_dir": str(tmp_path / "m")}
    short = {"max_epochs": 1, "batch_size": 6}
    results = run_pipeline(
        source=str(tissue), dataset=DEMO_FACTS.to_dict(), prepare={"layout": "luad"}, recipe="resnet38", progress=False,
        overrides={"train_classifier": {**CLASSIFIER_ONLY, **short}, "generate_pseudo_masks": CLASSIFIER_ONLY,
                   "train": {**NARROW, **short}, "evaluate": NARROW},
        **places,
    )  # fmt: skip
    assert [m for m in results["scores"] if m.startswith("CAM")] == ["CAM b4_5", "CAM b5_2", "CAM bn7", "CAM fused"]
    masks = {p.name for p in Path(places["output_dir"], "pseudo_masks").iterdir() if p.is_dir()}
    assert masks == {"gradcam_b4_5", "gradcam_b5_2", "fused", "refined", "consensus"}
    state = torch.load(tmp_path / "m/classifier.pt", weights_only=True)
    # random weights have no statistics to keep
    assert {"heads.0.weight", "rectifications.1.gate_scale"} <= set(state) and (
        state["extractor.bn7.running_mean"] != 0
    ).any()
    images = {
        "dataset_dir": str(tissue / "test/img"),
        "output_dir": str(tmp_path / "seen"),
        "model_dir": places["model_dir"],
    }
    _workflow(["inference.yaml", "recipes/resnet38/networks.yaml"], **images, progress=False)
    assert len(list((tmp_path / "seen/inference").glob("*_mask.png"))) == 2


@pytest.mark.parametrize("name", ["evaluate", "inference"])
def test_weights_of_recipes_with_the_plain_classifier_are_read_by_their_own_config(name):
    """Evaluation and inference describe the classifier that training made, with the file that the recipe has for them."""
    files = [str(CONFIGS / f"{name}.yaml"), str(CONFIGS / f"recipes/grad_cam/{name}.yaml")]
    described = ConfigParser.load_config_files(files)["classifier_def"]
    for recipe in ("grad_cam", "wsss_tissue", "histosegnet", "fully_supervised"):
        trained = ConfigParser.load_config_files(config_files("train_classifier", recipe))["network_def"]
        assert trained["_target_"] == described["_target_"] and set(trained) - set(described) == {"dropout", "pda"}


def test_full_supervision_needs_true_masks(tmp_path):
    entry = {"image": "p.png", "label": [1, 0, 0, 0]}
    write_image(tmp_path / "p.png", np.zeros((8, 8, 3), np.uint8))
    write_datalist(tmp_path / "datalist.json", DEMO_FACTS, {"training": [entry]})
    with pytest.raises(ValueError, match=r"true mask for every training patch, 1 of 1 .*p\.png"):
        supervised_data(tmp_path)


def test_unknown_recipes_are_refused():
    with pytest.raises(ValueError, match=r"none of \[.*'paper'"):
        config_files("train", "papre")
    assert config_files("train") == [str(CONFIGS / "train.yaml")]


def _workflow(names, **overrides):
    workflow = ConfigWorkflow(
        config_file=[str(CONFIGS / n) for n in names], workflow_type=None, logging_file=False, **NARROW, **overrides
    )
    workflow.initialize()
    return workflow.run()


def test_published_checkpoints_infer_and_score(run, tmp_path, tissue):
    """Files of the published layout, imported, give the very label maps of the networks that they came from."""
    parser = ConfigParser(ConfigParser.load_config_file(str(CONFIGS / "recipes/paper/networks.yaml")))
    parser["facts"] = DEMO_FACTS
    for key, value in NARROW.items():
        parser[key] = value
    for name, key in (("classifier.pt", "classifier_def"), ("model.pt", "network_def")):
        network = parser.get_parsed_content(key)
        network.load_state_dict(torch.load(Path(run["model_dir"], name), weights_only=True))
        state = published_names(network)
        torch.save(state if key == "classifier_def" else {"state_dict": state, "optimizer": {}}, tmp_path / f"{key}.pth")
    files = {"classifier": str(tmp_path / "classifier_def.pth"), "segmenter": str(tmp_path / "network_def.pth")}
    dataset = {"dataset": DEMO_FACTS.to_dict(), "patch_size": [64, 64]}
    models = {"model_dir": str(tmp_path / "models")}
    _workflow(["import_checkpoint.yaml", "luad.yaml", "recipes/paper/networks.yaml"], **files, **models, **dataset)
    places = {"output_dir": str(tmp_path / "out"), "progress": False}
    for name in ("inference.yaml", "evaluate.yaml"):
        data = str(tissue / "test/img") if name == "inference.yaml" else run["dataset_dir"]
        _workflow([name, "recipes/paper/networks.yaml"], dataset_dir=data, **models, **places)
    one, other = (
        json.loads(Path(p, "evaluate/metrics.json").read_text()) for p in (run["output_dir"], places["output_dir"])
    )
    assert one["scores"] == other["scores"]
    for path in sorted((tissue / "test/img").iterdir()):
        masks = [tmp_path / "out/inference" / path.name,
                 tmp_path / "out/evaluate/label_maps/segmenter_and_gate" / path.name]  # fmt: skip
        if masks[0].is_file():
            assert read_mask(masks[0]).shape == read_mask(masks[1]).shape


def test_import_of_a_wrong_file_writes_nothing(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    names = ["import_checkpoint.yaml", "luad.yaml", "recipes/paper/networks.yaml"]
    for given, message in (({"classifier": str(tmp_path / "x.npy")}, "x.npy"), ({}, "nothing to import")):
        with pytest.raises(RuntimeError) as error:  # MONAI's, about the expression; ours is its cause
            _workflow(names, model_dir=str(tmp_path / "models"), **given)
        assert isinstance(error.value.__cause__, ValueError) and message in str(error.value.__cause__)
    assert not (tmp_path / "models").exists()
