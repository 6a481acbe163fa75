from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import torch
from made_exports import export, unit, write_decided_models
from scripts.core.digest import file_sha256
from scripts.export.wsinfer_model import write_wsinfer
from scripts.weights.files import Weights, load_weights
from small_slides import FACTS, drawn

# what specification 1.0 asks for
SCHEMA = {
    "type": "object",
    "properties": {
        "spec_version": {"enum": ["1.0"]},
        "architecture": {"type": "string"},
        "num_classes": {"type": "integer", "minimum": 1},
        "patch_size_pixels": {"type": "integer", "minimum": 1},
        "spacing_um_px": {"type": "number", "minimum": 0},
        "class_names": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "transform": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"enum": ["Resize", "ToTensor", "Normalize"]}, "arguments": {"type": "object"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    },
}
SCHEMA["required"] = list(SCHEMA["properties"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    models = write_decided_models(tmp_path_factory.mktemp("run") / "models")
    return models, export(models, models.parent, forms=["wsinfer"]) / "classifier.wsinfer"


def test_the_folder_holds_what_wsinfer_reads(made):
    models, folder = made
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "description.json", "torchscript_model.pt"]
    config = json.loads((folder / "config.json").read_text())
    jsonschema.validate(config, SCHEMA)
    assert (config["patch_size_pixels"], config["spacing_um_px"], config["num_classes"]) == (64, 1.0, 3)
    assert config["class_names"] == list(FACTS.classes)
    description = json.loads((folder / "description.json").read_text())
    assert description["weights"]["classifier"]["sha256"] == file_sha256(models / "classifier.pt")
    assert description["sha256"] == file_sha256(folder / "torchscript_model.pt")


def test_the_published_schema_is_met(made):
    found = importlib.util.find_spec("wsinfer_zoo")
    if found is None:
        pytest.skip("the package wsinfer_zoo is not installed")
    schema = Path(found.submodule_search_locations[0]) / "schemas/model-config.schema.json"
    jsonschema.validate(json.loads((made[1] / "config.json").read_text()), json.loads(schema.read_text()))


def test_softmax_makes_shares_of_the_probabilities(made):
    models, folder = made
    image = torch.cat([unit(drawn()[y : y + 64, 100:164]) for y in (60, 120, 200)])
    with torch.inference_mode():
        probabilities = torch.sigmoid(load_weights(models / "classifier.pt", "classifier").network(image))
        found = torch.jit.load(str(folder / "torchscript_model.pt"))(image)
    torch.testing.assert_close(torch.softmax(found, dim=1), probabilities / probabilities.sum(dim=1, keepdim=True))
    torch.testing.assert_close(found.exp(), probabilities)


@pytest.mark.parametrize("change", [{"mpp": None}, {"patch_size": (64, 48)}])
def test_what_wsinfer_cannot_read_is_refused(made, tmp_path, change):
    weights = load_weights(made[0] / "classifier.pt", "classifier")
    description = replace(weights.description, facts=replace(weights.facts, **change))
    with pytest.raises(ValueError, match=r"form wsinfer: found patches of 64 x \d+ px at .*, expected squares at a known"):
        write_wsinfer(tmp_path, Weights(weights.network, description), torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert not list(tmp_path.iterdir())
