"""Every config is a MONAI workflow of its kind, from any working directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.names import pseudo_mask_paths
from scripts.data.datalist import write_datalist
from scripts.networks.classifier import TissueClassifier
from scripts.networks.registry import registered
from scripts.networks.resnet38 import ResNet38
from scripts.pseudo_masks.consensus import CONSENSUS
from scripts.pseudo_masks.refinement import REFINED
from scripts.weights.description import describe
from scripts.weights.files import save_weights
from scripts.weights.untrained import network_of, untrained_network
from tiny import write_models
from zoo_schema import SCHEMA

CONFIGS = Path(BUNDLE_ROOT) / "configs"
LAYERS = ("gradcam_stage4", "gradcam_stage5", "fused")


@pytest.fixture
def folders(tmp_path, rng):
    """A prepared dataset of six patches, with pseudo masks."""
    facts, data = DatasetFacts(classes=("a", "b", "c")), tmp_path / "data"
    sections = {"training": [], "validation": [], "test": []}
    for i in range(6):
        write_image(data / f"p{i}.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        mask = np.full((32, 32), i % 3)
        for path in pseudo_mask_paths(tmp_path / "out" / "pseudo_masks", (*LAYERS, REFINED, CONSENSUS), f"p{i}"):
            write_mask(path, mask, facts)
        write_mask(data / f"m{i}.png", mask, facts)
        sections["training"].append({"image": f"p{i}.png", "label": [int(k == i % 3) for k in range(3)]})
    for section in ("validation", "test"):
        sections[section].append({"image": "p0.png", "mask": "m0.png"})
    write_datalist(data / "datalist.json", facts, sections)
    return {"dataset_dir": str(data), "output_dir": str(tmp_path / "out"), "model_dir": str(tmp_path / "models")}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("train_classifier", "train"), ("train", "train"), ("inference", "infer"), ("evaluate", "infer"), ("report", "infer")],
)
def test_check_properties_is_empty(folders, tmp_path, monkeypatch, name, kind):
    if kind == "infer":
        write_models(folders["model_dir"], DatasetFacts(classes=("a", "b", "c")))
    monkeypatch.chdir(tmp_path)
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / f"{name}.yaml"),
        workflow_type=kind,
        meta_file=str(CONFIGS / "metadata.json"),
        logging_file=False,
        progress=False,
        **folders,
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.bundle_root == BUNDLE_ROOT
    if kind == "train":
        assert len(workflow.train_dataset) == 6 if name == "train" else 5
        assert workflow.max_epochs == 8


def test_metadata_fits_the_schema(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=str(path))
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]


def test_metadata_names_the_packages_that_are_installed_with_the_bundle():
    text = (Path(BUNDLE_ROOT).parent / "pyproject.toml").read_text(encoding="utf-8")
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    names = {}
    for key in ("dependencies", "slides", "cluster"):
        (block,) = re.findall(rf"^{key} = \[(.*?)\]$", text, flags=re.M | re.S)
        names[key] = set(re.findall(r'"([\w-]+)[=<>]', block))
    assert names.pop("dependencies") == {"monai", "torch", "numpy", *metadata["required_packages_version"]}
    assert names == {extra: set(packages) for extra, packages in metadata["tested_extras"].items()}


def _verify(net_id, config, meta_file, **overrides):
    verify_net_in_out(
        net_id=net_id, meta_file=str(meta_file), config_file=str(CONFIGS / config), n=4, device="cpu", **overrides
    )


def test_networks_fit_the_metadata_before_there_are_weights(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for config in ("inference.yaml", "evaluate.yaml"):
        _verify("network_def", config, CONFIGS / "metadata.json", model_dir=str(tmp_path / "none"))


def test_networks_of_any_class_count_fit_the_metadata_of_their_weights(monkeypatch, tmp_path):
    models = write_models(tmp_path / "models", DatasetFacts(classes=("a", "b", "c", "d", "e", "f")))
    monkeypatch.chdir(tmp_path)
    _verify("network_def", "inference.yaml", models / "metadata.json", model_dir=str(models))
    with pytest.raises(ValueError, match="channel number"):
        _verify("network_def", "inference.yaml", CONFIGS / "metadata.json", model_dir=str(models))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("tracing", [False, True])
def test_monai_exports_the_networks(monkeypatch, tmp_path, trained, tracing):
    """Trained or not, by scripting and by tracing, from any folder; what is exported is the network."""
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models"
    classes = 3 if trained else 4
    if trained:
        write_models(models, DatasetFacts(classes=("a", "b", "c")))
    for net_id, kind, path in (("network_def", "segmenter", "model.pt"), ("classifier_def", "classifier", "classifier.pt")):
        state = models / path
        if not trained:
            state = tmp_path / path
            torch.save(untrained_network(kind, 4).state_dict(), state)
        ckpt_export(
            net_id=net_id,
            filepath=str(tmp_path / "exported.ts"),
            ckpt_file=str(state),
            meta_file=str(CONFIGS / "metadata.json"),
            config_file=str(CONFIGS / "inference.yaml"),
            use_trace=tracing,
            input_shape=[1, 3, 64, 64] if tracing else None,
            model_dir=str(models),
        )
        network = network_of(models / path, kind).eval()
        network.load_state_dict(torch.load(state, weights_only=True))
        image = torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            found = torch.jit.load(tmp_path / "exported.ts")(image)
            torch.testing.assert_close(found, network(image), rtol=1e-4, atol=1e-5)
        assert found.shape[1] == classes


@pytest.mark.parametrize("where", ["bundle", "elsewhere"])
def test_exports_from_the_command_line(tmp_path, where):
    """MONAI puts a bundle on Python's path for ``run`` alone: from another folder, PYTHONPATH says where it is."""
    models = write_models(tmp_path / "models", DatasetFacts(classes=("a", "b")))
    for kind in ("classifier", "model"):  # of a backbone of the bundle, as tiny's is not known there
        (models / f"{kind}.json").unlink()
        (models / f"{kind}.pt").unlink()
    network = TissueClassifier(ResNet38(1 / 16), 2)
    save_weights(
        models / "classifier.pt",
        network,
        describe(network, "classifier", DatasetFacts(classes=("a", "b")), (32, 32), gate_threshold=0.1),
    )
    command = [sys.executable, "-m", "monai.bundle", "ckpt_export", "--net_id", "classifier_def", "--model_dir", str(models)]
    command += ["--filepath", str(tmp_path / "c.ts"), "--ckpt_file", str(models / "classifier.pt")]
    command += ["--config_file", str(CONFIGS / "inference.yaml"), "--meta_file", str(CONFIGS / "metadata.json")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if where == "elsewhere":
        environment["PYTHONPATH"] = BUNDLE_ROOT
    done = subprocess.run(
        command, cwd=BUNDLE_ROOT if where == "bundle" else tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert torch.jit.load(tmp_path / "c.ts")(torch.rand(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize("name", ["luad", "bcss", "wsss4luad", "glas"])
def test_dataset_files_hold_facts_preparation_and_known_settings_alone(name):
    config = ConfigParser.load_config_file(str(CONFIGS / f"{name}.yaml"))
    assert {"dataset", "prepare"} <= set(config) <= {"dataset", "prepare", "settings"}
    for stage, settings in config.get("settings", {}).items():
        parser = ConfigParser(ConfigParser.load_config_file(str(CONFIGS / f"{stage}.yaml")))
        assert all(key in parser for key in settings), settings
    assert load_facts(CONFIGS / f"{name}.yaml").num_classes in (2, 3, 4)


def test_networks_are_defined_where_they_are_trained_and_nowhere_else():
    for path in sorted(CONFIGS.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if path.stem not in ("train", "train_classifier"):
            assert not [name for name in registered() if f"scripts.networks.{name}" in text], path


def test_defaults_of_the_stages_fit_each_other():
    read = {n: ConfigParser.load_config_file(str(CONFIGS / f"{n}.yaml")) for n in ("train", "generate_pseudo_masks")}
    masks = read["generate_pseudo_masks"]
    assert masks["layers"] == list(LAYERS)
    assert read["train"]["layers"] == [CONSENSUS] and len(masks["consensus"]) == len(LAYERS) + 1  # and the refined one
    assert set(masks["masker"]["refinement"]["weights"]) <= set(LAYERS)


# what the two trainings have alike but for these: budgets, what is read, which network learns what, and how it is judged
OWN = {
    "imports", "run", "max_epochs", "batch_size", "patience", "keep", "data", "stage#name", "stage#weights", "network_def", "description",
    "loss", "extractor#last_stage", "session#path", "session#score", "session#keep",
    "train#preprocessing_transforms", "train#handlers", "train#trainer#loss_function", "train#trainer#prepare_batch",
    "validate#preprocessing", "validate#dataloader#batch_size", "validate#inferer", "validate#key_metric",
    "validate#evaluator#network",
}  # fmt: skip


def _differences(one, other, above=""):
    for key in sorted(one.keys() & other.keys()):
        a, b, where = one[key], other[key], f"{above}{key}"
        if where in OWN or a == b:
            yield from [where] if where in OWN and a != b else []
        elif isinstance(a, dict) and isinstance(b, dict) and a.get("_target_") == b.get("_target_"):
            yield from _differences(a, b, f"{where}#")
        else:
            yield where


def test_the_two_trainings_differ_in_what_they_must_and_in_nothing_else():
    first, second = (ConfigParser.load_config_file(str(CONFIGS / f"{n}.yaml")) for n in ("train_classifier", "train"))
    assert set(_differences(first, second)) <= OWN
    order = [key for key in first if key in second]
    assert order == [key for key in second if key in first]


def test_pseudo_masks_depend_on_all_patches_that_they_are_made_of():
    """Those that the segmenter validates on, too."""
    stage = yaml.safe_load((CONFIGS / "generate_pseudo_masks.yaml").read_text(encoding="utf-8"))["stage"]
    assert {"@entries", "@validation", "$@facts.to_dict()"} == set(stage["reads"])
    assert "@validation" in stage["outputs"]
