from __future__ import annotations

import json
import pickle
from importlib import metadata
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.digest import file_sha256
from scripts.core.errors import root_cause
from scripts.core.facts import DatasetFacts
from scripts.data.datalist import write_datalist
from scripts.networks.registry import register
from scripts.weights.description import describe
from scripts.weights.files import build_network, load_state, load_weights, save_weights
from tiny import TinyExtractor, write_models
from torch import nn

FACTS = DatasetFacts(classes=("a", "b"), mpp=0.5, white_background=True)


class _Code:
    def __reduce__(self):
        return (exec, ("raise SystemError('code ran')",))


def _change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_of_weights_is_all_that_is_needed(tmp_path):
    folder = write_models(tmp_path / "models", FACTS, (48, 32))
    for kind, name in (("classifier", "classifier.pt"), ("segmenter", "model.pt")):
        weights = load_weights(folder / name, kind)
        state = torch.load(folder / name, weights_only=True)
        assert not weights.network.training
        assert all(torch.equal(v, state[k]) for k, v in weights.network.state_dict().items())
        assert weights.facts.classes == ("a", "b") and weights.facts.mpp == 0.5 and weights.facts.white_background
        assert weights.description.patch_size == (48, 32)
        assert weights.description.sha256 == file_sha256(folder / name)
    assert load_weights(folder / "classifier.pt", "classifier").description.gate_threshold == 0.1
    assert load_weights(folder / "model.pt", "segmenter").description.inference == {"flips": False, "window_scales": [1.0]}


def test_scores_stand_beside_the_weights(tmp_path):
    folder = write_models(tmp_path, FACTS)
    network = build_network(folder / "classifier.pt")
    content = describe(network, "classifier", FACTS, (32, 32), "recipes/mine", 7, gate_threshold=0.2)
    save_weights(tmp_path / "classifier.pt", network, content, {"epoch": 3, "mean_ap": 0.5})
    description = load_weights(tmp_path / "classifier.pt", "classifier").description
    assert description.scores == {"epoch": 3, "mean_ap": 0.5} and description.recipe == "mine"
    assert description.content["seed"] == 7 and description.content["packages"]["torch"] == metadata.version("torch")
    assert description.content["git_commit"] is None or len(description.content["git_commit"]) >= 40


def test_weights_that_are_not_those_described(tmp_path):
    folder = write_models(tmp_path, FACTS)
    state = torch.load(folder / "model.pt", weights_only=True)
    torch.save({k: v + 1 for k, v in state.items()}, folder / "model.pt")
    with pytest.raises(
        ValueError, match=r"model\.pt: not the weights that model\.json describes: found SHA-256 .*, expected"
    ):
        load_weights(folder / "model.pt", "segmenter")


def test_weights_without_a_description_are_never_guessed(tmp_path):
    folder = write_models(tmp_path, FACTS)
    (folder / "model.json").unlink()
    with pytest.raises(
        ValueError, match=r"model\.pt: nothing says what these weights are, as model\.json is not beside them"
    ):
        load_weights(folder / "model.pt", "segmenter")
    (folder / "classes.json").write_text(json.dumps(FACTS.to_dict()))
    with pytest.raises(ValueError, match=r"version 0\.4.*upgrade\.yaml --model_dir "):
        load_weights(folder / "model.pt", "segmenter")
    (folder / "model.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*model\.pt: train first"):
        load_weights(folder / "model.pt", "segmenter")


@pytest.mark.parametrize("config", ["generate_pseudo_masks", "evaluate", "inference"])
def test_bare_weights_are_refused_by_every_config_that_reads_weights(tmp_path, config):
    """Nobody's class names and window size are assumed."""
    folder = write_models(tmp_path / "models", FACTS)
    for name in ("classifier.json", "model.json", "metadata.json"):
        (folder / name).unlink()
    config_file = str(Path(BUNDLE_ROOT) / f"configs/{config}.yaml")
    places = {"model_dir": str(folder), "output_dir": str(tmp_path / "out"), "dataset_dir": str(tmp_path)}
    write_datalist(tmp_path / "datalist.json", FACTS, {})
    workflow = ConfigWorkflow(config_file, workflow_type=None, logging_file=False, progress=False, **places)
    workflow.initialize()
    with pytest.raises(RuntimeError) as error:
        workflow.run()
    message = str(root_cause(error.value))
    assert message.startswith(f"{folder / 'classifier.pt'}: nothing says what these weights are, as classifier.json is not")


@pytest.mark.parametrize("name", ["classifier.pt", "classifier.json"])
def test_a_folder_in_the_place_of_a_file(tmp_path, name):
    folder = write_models(tmp_path, FACTS)
    (folder / name).unlink()
    (folder / name).mkdir()
    says = (
        r"classifier\.pt: found a folder" if name.endswith("pt") else r"classifier\.pt: nothing says what these weights are"
    )
    with pytest.raises(ValueError, match=says):
        load_weights(folder / "classifier.pt", "classifier")


def test_one_kind_is_not_taken_for_the_other_and_classes_must_agree(tmp_path):
    folder = write_models(tmp_path, FACTS)
    with pytest.raises(ValueError, match=r"model\.json: describes a segmenter, expected a classifier"):
        load_weights(folder / "model.pt", "classifier")
    others = DatasetFacts(classes=("b", "a"))
    with pytest.raises(ValueError, match=r"model\.pt: found classes \['a', 'b'\], expected \['b', 'a'\]"):
        load_weights(folder / "model.pt", "segmenter", facts=others)


def test_values_that_are_not_finite_are_refused_with_their_names(tmp_path):
    folder = write_models(tmp_path, FACTS)
    network = build_network(folder / "model.pt")
    network.decoder[4].bias.data[0] = float("inf")
    save_weights(folder / "model.pt", network, json.loads((folder / "model.json").read_text()))
    with pytest.raises(ValueError, match=r"model\.pt: values that are not finite in 1 entries \['decoder\.4\.bias'\]"):
        load_weights(folder / "model.pt", "segmenter")


def test_a_description_cannot_ask_for_more_memory_than_the_weights_have(tmp_path):
    folder = write_models(tmp_path, FACTS)
    content = json.loads((folder / "classifier.json").read_text())
    content["network"]["arguments"]["extractor"]["arguments"]["width"] = 20_000  # 14 GB
    (folder / "classifier.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"classifier\.json: a network of \d+ bytes of weights, .*classifier\.pt has \d+"):
        load_weights(folder / "classifier.pt", "classifier")


@register()
class Looking(nn.Module):
    """A network whose constructor looks at values, as those of stochastic depth do, and takes a part of another."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.5, 3)]
        self.extractor = TinyExtractor()
        self.layer = nn.Sequential(nn.Linear(width, width), nn.Linear(width, 3 * width))[0]


def test_nor_one_of_a_network_whose_size_is_known_only_when_it_is_built(tmp_path):
    network = Looking(2, 600)
    content = describe(network, "segmenter", FACTS, (32, 32), inference={"flips": True, "window_scales": [1.0]})
    save_weights(tmp_path / "model.pt", network, content)
    loaded = load_weights(tmp_path / "model.pt", "segmenter").network
    assert torch.equal(loaded.layer.weight, network.layer.weight)
    content = json.loads((tmp_path / "model.json").read_text())
    content["network"]["arguments"]["width"] = 5_000  # 100 MB
    _change(tmp_path / "model.json", network=content["network"])
    with pytest.raises(ValueError, match=r"model\.json: Looking cannot be built .*: it would have more than \d+ bytes"):
        load_weights(tmp_path / "model.pt", "segmenter")


def test_a_described_network_of_another_shape(tmp_path):
    folder = write_models(tmp_path, FACTS)
    content = json.loads((folder / "classifier.json").read_text())
    content["network"]["arguments"]["extractor"]["arguments"]["width"] = 4
    (folder / "classifier.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"classifier\.pt does not fit TissueClassifier: .* of another shape"):
        load_weights(folder / "classifier.pt", "classifier")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"weight": torch.zeros(2, 3)}, r"1 entries missing \['bias'\]"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "x": torch.zeros(1)}, r"1 unknown \['x'\]"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, r"found \(2, 4\), expected \(2, 3\)"),
        ({"weight": torch.full((2, 3), float("nan")), "bias": torch.zeros(2)}, r"not finite in 1 entries \['weight'\]"),
        ([1, 2], "state dict"),
    ],
)
def test_states_of_other_networks(tmp_path, state, says):
    network = nn.Linear(3, 2)
    before = network.weight.clone()
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=says) as error:
        load_state(network, tmp_path / "w.pt")
    assert "w.pt" in str(error.value) and torch.equal(network.weight, before)


def test_what_is_not_finite_from_the_start_may_stay_so(tmp_path):
    network = nn.Linear(3, 2)
    network.register_buffer("centres", torch.full((2,), float("inf")))
    torch.save(network.state_dict(), tmp_path / "w.pt")
    load_state(network, tmp_path / "w.pt")


def test_damaged_absent_and_hostile_files(tmp_path):
    path = tmp_path / "w.pt"
    with pytest.raises(FileNotFoundError, match=r"w\.pt"):
        load_state(nn.Linear(1, 1), path)
    torch.save(nn.Linear(100, 100).state_dict(), path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"w\.pt"):
        load_state(nn.Linear(100, 100), path)
    path.write_bytes(pickle.dumps(_Code()))
    with pytest.raises(ValueError, match=r"w\.pt"):
        load_state(nn.Linear(1, 1), path)
