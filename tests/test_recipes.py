"""Recipes change the stages' configs and nothing else; the paper's runs, and its published checkpoints import and run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from published_files import NARROW, published_names, write_narrow_recipe
from scripts import BUNDLE_ROOT
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from scripts.core.recipes import config_files
from scripts.data.datalist import write_datalist
from scripts.data.split import supervised_data
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset
from scripts.networks.registry import definition
from scripts.run.pipeline import merge_overrides, run_pipeline
from scripts.weights.description import read_description
from scripts.weights.files import load_weights
from scripts.weights.untrained import untrained_network

CONFIGS = Path(BUNDLE_ROOT) / "configs"


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
        overrides=merge_overrides(NARROW, {"train_classifier": short, "train": short}),
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
    assert config["keep"] is None


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
    assert first["gate_threshold"] == 0.1 and second["inference"] == {"flips": False, "window_scales": [1.0]}
    masks = merged("generate_pseudo_masks")
    assert masks["flips"] is False and masks["consensus"] is None and masks["masker"]["refinement"] is None
    classifier = definition(untrained_network("classifier", 4, "paper"))["arguments"]
    assert classifier["extractor"] == {
        "component": "ResNet38",
        "arguments": {"width": 1.0, "dropout": [0.3, 0.5], "frozen": ["conv1a", "b2"], "frozen_norm": True},
    }
    segmenter = definition(untrained_network("segmenter", 4, "paper"))["arguments"]
    assert segmenter["extractor"]["arguments"] == {
        "blocks": [3, 4, 23, 3], "output_stride": 16, "multi_grid": [1, 2, 4], "width": 1.0, "mean": 0.0, "std": 1.0,
    }  # fmt: skip
    assert {k: v for k, v in segmenter.items() if k != "extractor"} == {
        "num_classes": 4, "high_layer": "layer4", "low_layer": "layer1", "channels": 256, "low_channels": 48,
        "rates": [6, 12, 18], "separable": False, "dropout": [0.5, 0.5, 0.1], "align_corners": True,
    }  # fmt: skip


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
        "recipes/sc_cam/generate_pseudo_masks.yaml",
    ]
    merged = ConfigParser.load_config_files(config_files("generate_pseudo_masks", "sc_cam"))
    assert (merged["layers"], merged["consensus"], merged["flips"]) == (["stage6"], None, True)
    assert merged["masker"]["refinement"] is None
    names = [Path(f).parent.name for f in config_files("train_classifier", "paper")]
    assert names == ["configs", "resnet38", "grad_cam", "paper"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/recipe.yaml").write_text(f"extends: {tmp_path / 'a'}\n")
    with pytest.raises(ValueError, match="extends itself"):
        config_files("train", str(tmp_path / "a"))
    (tmp_path / "a/recipe.yaml").write_text("extends: unheard_of\n")
    with pytest.raises(ValueError, match="'unheard_of' is none of"):
        config_files("train", str(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/recipe.yaml").write_text(f"extends: [grad_cam, {tmp_path / 'a'}]\n")
    (tmp_path / "a/recipe.yaml").write_text(f"extends: {tmp_path / 'b'}\n")
    with pytest.raises(ValueError, match=r"extends itself, by way of \['b', 'a'\]"):
        config_files("train", str(tmp_path / "b"))
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
    networks = {"network_def#subcategories": 2} if recipe == "sc_cam" else {}
    first = {"max_epochs": 2, "batch_size": 6, **networks}
    results = run_pipeline(
        source=str(tissue), dataset=DEMO_FACTS.to_dict(), prepare={"layout": "luad"}, recipe=recipe, progress=False,
        overrides={"train_classifier": first, "train": {"max_epochs": 1, "batch_size": 6}},
        **places,
    )  # fmt: skip
    described = [read_description(tmp_path / "m" / name) for name in ("classifier.pt", "model.pt")]
    assert all(d.recipe == recipe and d.facts.mpp == DEMO_FACTS.mpp for d in described)
    methods = [m for m in results["scores"] if m.startswith("CAM")]
    assert methods == COMPARED[recipe]
    masks = {p.name for p in Path(places["output_dir"], "pseudo_masks").iterdir() if p.is_dir()}
    # full supervision has classifier and pseudo masks of grad_cam, whose depths have a consensus
    assert masks == {m.removeprefix("CAM ") for m in methods} | (
        {"consensus"} if recipe in ("fully_supervised", "grad_cam") else set()
    )
    _infer(tissue, places["model_dir"], tmp_path)
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
        overrides=merge_overrides(NARROW, {"train_classifier": short, "train": short}),
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
    _infer(tissue, places["model_dir"], tmp_path)


def _infer(tissue, model_dir, folder):
    """One and the same command, whatever the weights are."""
    places = {"dataset_dir": str(tissue / "test/img"), "output_dir": str(folder / "seen"), "model_dir": str(model_dir)}
    _workflow(["inference.yaml"], **places, progress=False)
    assert len(list((folder / "seen/inference").glob("*_mask.png"))) == 2


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
        config_file=[str(CONFIGS / n) for n in names], workflow_type=None, logging_file=False, **overrides
    )
    workflow.initialize()
    return workflow.run()


@pytest.fixture(scope="module")
def narrow_paper(tmp_path_factory):
    """A recipe of one's own, in a folder outside the bundle."""
    return str(write_narrow_recipe(tmp_path_factory.mktemp("recipes") / "narrow"))


def test_published_checkpoints_infer_and_score(run, tmp_path, tissue, narrow_paper):
    """Files of the published layout, imported, give the very label maps of the networks that they came from."""
    files = {}
    for kind, name in (("classifier", "classifier.pt"), ("segmenter", "model.pt")):
        state = published_names(load_weights(Path(run["model_dir"], name), kind).network)
        files[kind] = str(tmp_path / f"{kind}.pth")
        torch.save(state if kind == "classifier" else {"state_dict": state, "optimizer": {}}, files[kind])
    settings = {"dataset": DEMO_FACTS.to_dict(), "patch_size": [64, 64], "recipe": narrow_paper}
    models = {"model_dir": str(tmp_path / "models")}
    _workflow(["import_checkpoint.yaml", "luad.yaml"], **files, **models, **settings)
    description = read_description(tmp_path / "models/model.pt")
    assert description.recipe == "narrow" and description.patch_size == (64, 64)
    assert description.inference == {"flips": False, "window_scales": [1.0]}
    places = {"output_dir": str(tmp_path / "out"), "progress": False}
    for name in ("inference.yaml", "evaluate.yaml"):
        data = str(tissue / "test/img") if name == "inference.yaml" else run["dataset_dir"]
        _workflow([name], dataset_dir=data, **models, **places)
    one, other = (
        json.loads(Path(p, "evaluate/metrics.json").read_text()) for p in (run["output_dir"], places["output_dir"])
    )
    assert one["scores"] == other["scores"]
    found = sorted((tmp_path / "out/inference").glob("*_mask.png"))
    assert len(found) == 2
    for path in found:  # inference paints white, the scored maps do not
        name = path.name.replace("_mask", "")
        scored = read_mask(tmp_path / "out/evaluate/label_maps/segmenter_and_gate" / name)
        mask = read_mask(path)
        assert (mask == scored)[mask < 4].all() and (mask < 4).any()


def test_import_of_a_wrong_file_writes_nothing(tmp_path, narrow_paper):
    np.save(tmp_path / "x.npy", np.zeros(3))
    names = ["import_checkpoint.yaml", "luad.yaml"]
    for given, message in (({"classifier": str(tmp_path / "x.npy")}, "x.npy"), ({}, "nothing to import")):
        with pytest.raises(RuntimeError) as error:  # MONAI's, about the expression; ours is its cause
            _workflow(names, model_dir=str(tmp_path / "models"), recipe=narrow_paper, **given)
        assert isinstance(error.value.__cause__, ValueError) and message in str(error.value.__cause__)
    assert not (tmp_path / "models").exists()
