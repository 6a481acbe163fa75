"""Every config is a MONAI workflow of its kind, from any working directory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_metadata, verify_net_in_out
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.names import pseudo_mask_paths
from scripts.data.datalist import write_datalist
from scripts.pseudo_masks.consensus import CONSENSUS
from scripts.pseudo_masks.refinement import REFINED

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
    ("name", "kind"), [("train_classifier", "train"), ("train", "train"), ("inference", "infer"), ("evaluate", "infer")]
)
def test_check_properties_is_empty(folders, tmp_path, monkeypatch, name, kind):
    if kind == "infer":
        _weights(folders["model_dir"])
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


def _weights(folder):
    from scripts.networks.efficientnet import EfficientNetLite0
    from scripts.networks.hierarchical import HierarchicalClassifier
    from scripts.networks.segmenter import DeepLabV3Plus
    from scripts.weights.files import save_facts

    Path(folder).mkdir(parents=True, exist_ok=True)
    extractor = EfficientNetLite0(pretrained=False, last_stage="stage7")
    segmenter = DeepLabV3Plus(extractor, 3, "stage7", "stage2", channels=128, rates=(1, 2, 4))
    layers, weights = ("stage4", "stage5", "stage6"), (0.2, 0.2, 0.6)
    classifier = HierarchicalClassifier(EfficientNetLite0(pretrained=False), 3, layers, weights)
    torch.save(classifier.state_dict(), Path(folder) / "classifier.pt")
    torch.save(segmenter.state_dict(), Path(folder) / "model.pt")
    save_facts(DatasetFacts(classes=("a", "b", "c")), folder, (32, 32))


def test_metadata_fits_the_schema(tmp_path):
    """What schema 20240725 requires; the schema itself is not shipped, and verify_metadata would download it."""
    tensor = {
        "type": "object",
        "required": [
            "type",
            "format",
            "num_channels",
            "spatial_shape",
            "dtype",
            "value_range",
            "is_patch_data",
            "channel_def",
        ],
    }
    text = {"type": "string"}
    required = [
        "schema",
        "version",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "required_packages_version",
        "task",
    ]
    required += ["description", "authors", "copyright", "network_data_format"]
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema",
        "type": "object",
        "required": required,
        "properties": {
            "schema": {"type": "string", "pattern": "meta_schema_20240725.json$"},
            "changelog": {"type": "object", "additionalProperties": text},
            "required_packages_version": {"type": "object", "additionalProperties": text},
            "network_data_format": {
                "type": "object",
                "required": ["inputs", "outputs"],
                "properties": {"inputs": {"additionalProperties": tensor}, "outputs": {"additionalProperties": tensor}},
            },
        },
    }
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=str(path))
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]


def test_network_fits_the_metadata(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / "train.yaml"),
        n=4,
        device="cpu",
        **{"extractor#pretrained": False, "dataset_dir": str(tmp_path / "absent")},
    )


@pytest.mark.parametrize("name", ["luad", "bcss", "wsss4luad", "glas"])
def test_dataset_files_hold_facts_preparation_and_known_settings_alone(name):
    config = ConfigParser.load_config_file(str(CONFIGS / f"{name}.yaml"))
    assert {"dataset", "prepare"} <= set(config) <= {"dataset", "prepare", "settings"}
    for stage, settings in config.get("settings", {}).items():
        parser = ConfigParser(ConfigParser.load_config_file(str(CONFIGS / f"{stage}.yaml")))
        assert all(key in parser for key in settings), settings
    assert load_facts(CONFIGS / f"{name}.yaml").num_classes in (2, 3, 4)


def test_networks_are_the_same_in_every_config():
    """Weights that one config writes, another reads: what they say of a network must not drift apart."""
    read = {n: ConfigParser.load_config_file(str(CONFIGS / f"{n}.yaml")) for n in
            ("train", "train_classifier", "generate_pseudo_masks", "evaluate", "inference")}  # fmt: skip

    def network(config, key):
        described = {k: v for k, v in config[key].items() if k not in ("dropout", "pda")}
        extractor = config["extractor"] if described["extractor"] == "@extractor" else described["extractor"]
        return {**described, "extractor": {k: v for k, v in extractor.items() if k != "pretrained"}}

    classifiers = [network(read["train_classifier"], "network_def"), network(read["generate_pseudo_masks"], "network_def")]
    classifiers += [network(read[n], "classifier_def") for n in ("evaluate", "inference")]
    segmenters = [network(read[n], "network_def") for n in ("train", "evaluate", "inference")]
    assert all(c == classifiers[0] for c in classifiers)
    assert all(s == segmenters[0] for s in segmenters)
    assert read["generate_pseudo_masks"]["layers"] == list(LAYERS)
    masks = read["generate_pseudo_masks"]
    assert read["train"]["layers"] == [CONSENSUS] and len(masks["consensus"]) == len(LAYERS) + 1  # and the refined one
    assert set(masks["masker"]["refinement"]["weights"]) <= set(LAYERS)
