from __future__ import annotations

import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.recipes import known_recipes
from scripts.networks.registry import definition
from scripts.weights.untrained import network_of, untrained_network
from tiny import write_models


def test_weights_decide_once_there_are_any(tmp_path):
    network = network_of(tmp_path / "model.pt", "segmenter")
    assert definition(network)["component"] == "DeepLabV3Plus" and network.decoder[4].out_channels == 4
    write_models(tmp_path, DatasetFacts(classes=("a", "b")))
    assert network_of(tmp_path / "model.pt", "segmenter").decoder[4].out_channels == 2
    (tmp_path / "model.json").unlink()
    with pytest.raises(ValueError, match="nothing says what these weights are"):
        network_of(tmp_path / "model.pt", "segmenter")


@pytest.mark.parametrize("recipe", [None, *known_recipes()])
def test_every_recipe_trains_networks_that_can_be_described(recipe):
    """On the meta device: shapes alone, as the paper's networks are large."""
    with torch.device("meta"):
        for kind, outputs in (("classifier", "class_head"), ("segmenter", "decoder")):
            network = untrained_network(kind, 3, recipe)
            content = definition(network)
            assert content["arguments"]["num_classes"] == 3 and hasattr(network, outputs)
            assert "'pretrained': True" not in str(content)
