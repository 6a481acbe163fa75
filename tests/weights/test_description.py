from __future__ import annotations

import json
import os

import pytest
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.resnet import ResNet
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.weights.description import FILES, describe, described_files, read_description
from tiny import TinyExtractor, write_models

FACTS = DatasetFacts(classes=("a", "b"), name="set", mpp=0.31, published={"m": (1, 2)}, label_threshold=0.2)


def test_a_description_says_what_weights_are(tmp_path):
    content = json.loads((write_models(tmp_path, FACTS, (48, 64)) / "model.json").read_text())
    assert (
        content["kind"] == "segmenter"
        and content["recipe"] == "default"
        and content["network"]["component"] == "DeepLabV3Plus"
    )
    dataset = content["dataset"]
    assert dataset["classes"] == ["a", "b"] and len(dataset["palette"]) == 2 and dataset["white_background"] is False
    assert dataset["mpp"] == 0.31 and dataset["patch_size"] == [48, 64] and not dataset["published"]
    assert content["inference"] == {"flips": False, "window_scales": [1.0]}
    assert {"seed", "packages", "git_commit", "sha256", "scores", "bundle_version"} <= set(content)


def test_normalisation_is_that_of_the_extractor():
    network = TissueClassifier(EfficientNetLite0(pretrained=False), 2)
    assert describe(network, "classifier", FACTS, (8, 8), gate_threshold=0.1)["input"] == {
        "channels": "RGB", "range": [0, 1], "normalised_by": "the network", "mean": [127 / 255] * 3, "std": [128 / 255] * 3,
    }  # fmt: skip
    network = DeepLabV3Plus(ResNet((1, 1, 1, 1), width=1 / 16, mean=(0.25, 0.5, 0.75), std=0.5), 2, channels=8)
    found = describe(network, "segmenter", FACTS, (8, 8), inference={"flips": True, "window_scales": (1, 2)})["input"]
    assert found["mean"] == [0.25, 0.5, 0.75] and found["std"] == [0.5] * 3


FAULTS = {
    "format": ({"format": 2}, "found format 2, this version reads 1"),
    "kind": ({"kind": "detector"}, "found kind 'detector'"),
    "no network": ({"network": None}, "expected a description with"),
    "digest": ({"sha256": "abc"}, "found sha256 'abc', expected 64 hexadecimal digits"),
    "classes": (
        {"dataset": {"classes": ["a", "b", "c"], "patch_size": [8, 8]}},
        "a network of 2 classes .* 3",
    ),
    "no classes": ({"dataset": {"patch_size": [8, 8]}}, "expected a 'classes' list"),
    "no patch size": ({"dataset": {"classes": ["a", "b"]}}, "lacks patch_size"),
    "scales": ({"inference": {"flips": True, "window_scales": [0]}}, "expected flips .* and window_scales"),
    "flips": ({"inference": {"flips": "no", "window_scales": [1]}}, "expected flips"),
    "text": ({"network": "DeepLabV3Plus"}, "a network of None classes"),
    "no input": ({"input": "RGB"}, "found input 'RGB'"),
    "no mean": ({"input": {"mean": [0.5, float("nan"), 0.5]}}, "input#mean: found .*, expected a list of 3, each a number"),
    "no deviation": ({"input": {"std": [1, 1, 0]}}, "input#std: found .*, expected a list of 3, each a number above 0"),
    "large windows": ({"dataset": {"classes": ["a", "b"], "patch_size": [2048, 32], "white_background": False}, "inference": {"flips": True, "window_scales": [1, 5]}}, "found windows of 2048 px times 5, expected at most 8192 px"),
    "kind as a list": ({"kind": ["segmenter"]}, r"found kind \['segmenter'\]"),
    "no facts": ({"dataset": ["a", "b"]}, "expected facts by their names"),
    "many scales": ({"inference": {"flips": True, "window_scales": [1] * 17}}, "a list of up to 16, each a number from 0.1 to 10"),
    **{f"scale {v}": ({"inference": {"flips": True, "window_scales": [v]}}, "expected flips .* and window_scales") for v in (1e9, float("inf"), float("nan"), "1", True, -1)},
    **{
        f"{key} {value!r}": ({"dataset": {"classes": ["a", "b"], "patch_size": [32, 32], "white_background": False, key: value}}, f"{key}.*found")
        for key, value in [
            ("patch_size", [1, 1]), ("patch_size", [100_000, 100_000]), ("patch_size", "224"), ("mpp", "x"), ("mpp", 0), ("mpp", float("nan")),
            ("white_background", "no"), ("white_background", "yes"), ("white_background", 0), ("white_background", None),
            ("classes", "ab"), ("classes", ["a", "a "]), ("palette", [[0, 0, float("nan")], [0, 0, 0]]), ("label_threshold", float("nan")),
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_malformed_descriptions_name_the_file(tmp_path, fault):
    changes, says = FAULTS[fault]
    path = write_models(tmp_path, FACTS) / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=says) as error:
        read_description(tmp_path / "model.pt")
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("threshold", [None, 1.0, -0.1, "0.1", True, float("nan"), float("inf")])
def test_the_gate_needs_a_probability(threshold):
    with pytest.raises(ValueError, match=r"gate_threshold, a probability: found .*, expected a number from 0 to below 1"):
        describe(TissueClassifier(TinyExtractor(), 2), "classifier", FACTS, (8, 8), gate_threshold=threshold)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\ud800"])
def test_what_is_no_description(tmp_path, text):
    (tmp_path / "model.pt").touch()
    (tmp_path / "model.json").write_text(text, errors="surrogatepass")
    with pytest.raises(ValueError, match=r"model\.json: "):
        read_description(tmp_path / "model.pt")


def test_a_description_is_small(tmp_path):
    (tmp_path / "model.pt").touch()
    with (tmp_path / "model.json").open("wb") as file:
        os.truncate(file.fileno(), 2**31)
    with pytest.raises(ValueError, match="expected a description of at most"):
        read_description(tmp_path / "model.pt")


def test_a_stage_depends_on_weights_and_descriptions(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at .*classifier\.pt"):
        described_files(tmp_path, "classifier")
    write_models(tmp_path, FACTS)
    names = ["classifier.pt", "classifier.json", "model.pt", "model.json"]
    assert described_files(tmp_path, *FILES) == [str(tmp_path / name) for name in names]
    (tmp_path / "model.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*model\.pt"):
        described_files(tmp_path, "segmenter")
