from __future__ import annotations

from scripts.core.facts import DatasetFacts
from scripts.weights.description import read_description
from scripts.weights.metadata import model_metadata
from tiny import write_models


def test_metadata_speaks_of_the_classes_of_the_weights(tmp_path):
    facts = DatasetFacts(classes=("a", "b", "c"), descriptions=("fat", "bone", "skin"), name="my set")
    metadata = model_metadata(read_description(write_models(tmp_path, facts) / "model.pt"))
    output = metadata["network_data_format"]["outputs"]["pred"]
    assert output["num_channels"] == 3 and output["channel_def"] == {"0": "fat", "1": "bone", "2": "skin"}
    assert metadata["data_source"] == "my set" and metadata["schema"].endswith("meta_schema_20240725.json")
