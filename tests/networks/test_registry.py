from __future__ import annotations

import copy
import os

import pytest
import torch
from scripts.networks.classifier import TissueClassifier
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.extractor import ModuleExtractor
from scripts.networks.hierarchical import HierarchicalClassifier
from scripts.networks.pda import ProgressiveDropoutAttention
from scripts.networks.registry import build, definition, register, registered
from scripts.networks.resnet import ResNet
from scripts.networks.resnet38 import ResNet38
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.networks.subcategories import SubCategoryClassifier
from tiny import TinyExtractor
from torch import nn

NETWORKS = {
    "classifier": lambda: TissueClassifier(TinyExtractor(4), 3, layer="b", dropout=0.25),
    "hierarchical": lambda: HierarchicalClassifier(
        EfficientNetLite0(pretrained=True), 2, ["stage4", "stage6"], [0.5, 0.5], pda=ProgressiveDropoutAttention()
    ),
    "sub-categories": lambda: SubCategoryClassifier(TinyExtractor(), 2, subcategories=3),
    "resnet38": lambda: TissueClassifier(ResNet38(1 / 16, frozen=()), 4),
    "segmenter": lambda: DeepLabV3Plus(ResNet((1, 1, 1, 1), multi_grid=(2,), width=1 / 16, mean=(0.1, 0.2, 0.3)), 3, channels=8),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_built_again_from_its_definition(name):
    network = NETWORKS[name]().eval()
    again = build(definition(network)).eval()
    again.load_state_dict(network.state_dict())
    image = torch.rand(2, 3, 64, 48)
    assert torch.equal(network(image), again(image)) and definition(again) == definition(network)
    assert definition(copy.deepcopy(network)) == definition(network)  # of averaged weights


def test_the_definition_holds_every_argument_and_what_is_loaded_is_not_downloaded():
    content = definition(NETWORKS["hierarchical"]())
    assert content["component"] == "HierarchicalClassifier"
    assert content["arguments"]["extractor"] == {
        "component": "EfficientNetLite0", "arguments": {"pretrained": False, "output_stride": 16, "last_stage": "head"}
    }  # fmt: skip
    assert {k: v for k, v in content["arguments"].items() if k not in ("extractor", "pda")} == {
        "num_classes": 2, "layers": ["stage4", "stage6"], "weights": [0.5, 0.5], "reduction": 8, "kernel": 15, "dropout": 0.5,
    }  # fmt: skip


def test_building_leaves_random_numbers_alone():
    content = definition(NETWORKS["classifier"]())
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build(content)
    assert torch.equal(torch.rand(4), expected)


def tiny(**arguments):
    return {
        "component": "TissueClassifier",
        "arguments": {"extractor": {"component": "TinyExtractor", "arguments": {}}, **arguments},
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"component": "os.system", "arguments": {"command": "touch HARM"}}, "'os.system' is no network of this bundle"),
        ({"component": "system", "arguments": {"command": "touch HARM"}}, "'system' is no network"),
        ({"component": "Linear", "arguments": {"in_features": 1, "out_features": 1}}, "'Linear' is no network"),
        ({"_target_": "os.system", "command": "touch HARM"}, r"found \['_target_', 'command'\]"),
        (tiny(num_classes=2, layer={"_target_": "os.system", "command": "touch HARM"}), "expected a network as 'component'"),
        (tiny(num_classes=2, layer={"component": "os.system", "arguments": {"command": "touch HARM"}}), "'os.system' is no network"),
        (tiny(num_classes=2, dropout=None), "'dropout': found None"),
        (tiny(num_classes=[[2]]), r"'num_classes': found \[2\]"),
        (tiny(num_classes=[{"component": "TinyExtractor"}]), "'num_classes': found"),
        (tiny(num_classes=2, dropout=float("nan")), "'dropout': found nan"),
        (tiny(num_classes=2, droput=0.5), r"has no argument \['droput'\]"),
        (tiny(), r"lacks the argument \['num_classes'\]"),
        (tiny(num_classes=2, layer="x"), "cannot be built from its arguments: TinyExtractor has no layer"),
        (tiny(num_classes="many"), "argument 'num_classes': found 'many', expected int"),
        ([], "expected a network as 'component' and 'arguments', found list"),
        ({"component": "TinyExtractor", "arguments": []}, "expected a mapping of arguments"),
        ({"component": ["TinyExtractor"], "arguments": {}}, "is no network"),
    ],
)  # fmt: skip
def test_what_is_not_trusted_is_refused_before_anything_is_built(content, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"ran {command}"))
    with pytest.raises(ValueError, match=says) as error:
        build(content, "w/model.json")
    assert str(error.value).startswith("w/model.json: ") and not list(tmp_path.iterdir())


def test_endless_nesting_is_refused():
    content = {"component": "TinyExtractor", "arguments": {}}
    for _ in range(50):
        content = {"component": "TissueClassifier", "arguments": {"extractor": content, "num_classes": 2}}
    with pytest.raises(ValueError, match="expected a network"):
        build(content)


def test_networks_that_cannot_be_described_say_so():
    with pytest.raises(ValueError, match=r"Linear is not a registered network.*@register\(\)"):
        definition(nn.Linear(1, 1))
    wrapped = TissueClassifier(ModuleExtractor(nn.Sequential(nn.Conv2d(3, 4, 3)), ["0"]), 2)
    with pytest.raises(ValueError, match="ModuleExtractor is not a registered network"):
        definition(wrapped)


def test_names_are_unique_and_arguments_have_names():
    with pytest.raises(ValueError, match="TissueClassifier is registered already"):
        register()(type("TissueClassifier", (nn.Module,), {"__init__": lambda self: None}))

    class Loose(nn.Module):
        def __init__(self, *args):
            super().__init__()

    with pytest.raises(ValueError, match="Loose: a registered network names each of its arguments"):
        register()(Loose)
    assert {"DeepLabV3Plus", "HierarchicalClassifier", "TinyExtractor"} <= set(registered()) and "Loose" not in registered()


def test_a_subclass_that_is_not_registered_is_not_taken_for_its_base():
    class Other(TinyExtractor):
        pass

    with pytest.raises(ValueError, match="Other is not a registered network"):
        definition(Other())


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_can_be_scripted_and_traced(name):
    """As MONAI's exports do it; the size of the image stays free."""
    network, image = NETWORKS[name]().eval(), torch.rand(2, 3, 64, 48)
    torch.testing.assert_close(torch.jit.script(network)(image), network(image))
    torch.testing.assert_close(torch.jit.trace(network, torch.rand(1, 3, 64, 64))(image), network(image))


def test_a_description_cannot_ask_for_a_network_without_end():
    """Not of more modules than any network has, whose making would take all day and all memory."""
    content = definition(ResNet((1, 1, 1, 1), width=1 / 16))
    content["arguments"]["blocks"] = [10**9, 1, 1, 1]
    with pytest.raises(
        ValueError, match=r"file: ResNet cannot be built from its arguments: it would have more than 10000 modules"
    ):
        build(content, "file")
    build(definition(ResNet((3, 4, 23, 3), width=1 / 16)))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("output_stride", "16", "int"),
        ("output_stride", True, "int"),
        ("pretrained", "no", "bool"),
        ("pretrained", 1, "bool"),
    ],
)
def test_arguments_are_of_their_parameters_types(key, value, expected):
    content = definition(EfficientNetLite0(pretrained=False))
    content["arguments"][key] = value
    with pytest.raises(ValueError) as error:
        build(content, "file")
    assert str(error.value) == f"file: EfficientNetLite0: argument {key!r}: found {value!r}, expected {expected}"
