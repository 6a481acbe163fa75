from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from packed import FACTS, write_real_models
from scripts import BUNDLE_ROOT
from scripts.core.atomic import write_json
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.recipes import known_recipes
from scripts.data.datalist import write_datalist
from scripts.networks.registry import definition
from scripts.package.load_config import load_config, refuse_own_networks
from scripts.weights.description import read_description
from scripts.weights.untrained import untrained_network
from tiny import write_models

META = str(Path(BUNDLE_ROOT) / "configs/metadata.json")


@pytest.fixture
def bundle(tmp_path):
    """What a package holds of what ``train.json`` needs."""
    models = write_real_models(tmp_path / "bundle/models")
    write_json(tmp_path / "bundle/configs/train.json", load_config(read_description(models / "model.pt")))
    return tmp_path / "bundle"


def _dataset(folder: Path, facts: DatasetFacts, rng: np.random.Generator) -> dict[str, str]:
    """Patches with labels and pseudo masks."""
    sections: dict[str, list] = {"training": [], "validation": [{"image": "p0.png", "mask": "m0.png"}], "test": []}
    for i in range(6):
        write_image(folder / f"data/p{i}.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        mask = np.full((32, 32), i % facts.num_classes)
        for path in (folder / f"out/pseudo_masks/consensus/p{i}.png", folder / f"data/m{i}.png"):
            write_mask(path, mask, facts)
        label = [int(k == i % facts.num_classes) for k in range(facts.num_classes)]
        sections["training"].append({"image": f"p{i}.png", "label": label})
    write_datalist(folder / "data/datalist.json", facts, sections)
    return {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out")}


def _workflow(bundle: Path, places: dict[str, str]) -> ConfigWorkflow:
    workflow = ConfigWorkflow(
        str(bundle / "configs/train.json"), workflow_type="train", logging_file=False, meta_file=META, bundle_root=str(bundle), progress=False,
        max_epochs=1, device="$torch.device('cpu')", amp=False, **places,
    )  # fmt: skip
    workflow.initialize()
    return workflow


def test_training_goes_on_from_the_weights_and_leaves_them_as_they_are(bundle, tmp_path, rng, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns.db")
    before = torch.load(bundle / "models/model.pt", weights_only=True)
    places = _dataset(tmp_path, replace(FACTS, patch_size=(32, 32)), rng)
    workflow = _workflow(bundle, places)
    assert workflow.check_properties() == []
    start = workflow.parser.get_parsed_content("network").state_dict()
    assert all(torch.equal(value, start[name]) for name, value in before.items())
    workflow.run()
    after = torch.load(tmp_path / "out/models/model.pt", weights_only=True)
    assert after.keys() == before.keys() and not all(torch.equal(after[k], before[k]) for k in before)
    assert read_description(tmp_path / "out/models/model.pt").network == read_description(bundle / "models/model.pt").network
    assert sorted(p.name for p in (bundle / "models").iterdir() if p.suffix == ".pt") == ["classifier.pt", "model.pt"]


def test_data_of_other_classes_are_refused(bundle, tmp_path, rng, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns.db")
    workflow = _workflow(bundle, _dataset(tmp_path, DatasetFacts(classes=("a", "b", "c"), patch_size=(32, 32)), rng))
    with pytest.raises(Exception, match=r"Failed to evaluate") as error:
        workflow.parser.get_parsed_content("network")
    assert "found classes ['TUM', 'STR', 'LYM'], expected ['a', 'b', 'c']" in str(error.value.__cause__)


@pytest.mark.parametrize("recipe", [None, *known_recipes()])
def test_the_network_is_that_of_the_weights_whatever_their_recipe(tmp_path, recipe):
    described = read_description(write_real_models(tmp_path) / "model.pt")
    network = untrained_network("segmenter", 3, recipe)
    content = load_config(replace(described, network=definition(network), recipe=recipe or "default"))
    parser = ConfigParser({"network_def": content["network_def"], "on_path": None})
    assert definition(parser.get_parsed_content("network_def")) == definition(network)
    assert "extractor" not in content and content["network_def"]["num_classes"] == 3


def test_a_network_of_ones_own_is_refused(tmp_path):
    models = write_models(tmp_path, FACTS)
    for name in ("model", "classifier"):
        with pytest.raises(
            ValueError, match=r"weights are of TinyExtractor, a network of your own.*bundle/scripts/networks"
        ):
            refuse_own_networks(read_description(models / f"{name}.pt"))
    refuse_own_networks(read_description(write_real_models(tmp_path / "real") / "model.pt"))
