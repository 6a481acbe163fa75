from __future__ import annotations

from importlib import metadata as installed

import pytest
from packed import write_real_models
from scripts.core.environment import bundle_version
from scripts.package.measured import Measured
from scripts.package.zoo_metadata import zoo_metadata
from scripts.weights.description import read_description

FIGURES = [Measured("test", "segmenter", "3 images", {"miou": 0.123456, "iou": {"TUM": 0.5}})]


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return read_description(write_real_models(tmp_path_factory.mktemp("models")) / "model.pt")


def test_it_says_what_the_weights_are_and_what_was_measured(segmenter):
    content = zoo_metadata(segmenter, FIGURES, {"authors": "A. Pathologist", "references": ["a paper"]})
    output = content["network_data_format"]["outputs"]["pred"]
    assert output["num_channels"] == 3 and output["channel_def"] == {"0": "tumour", "1": "stroma", "2": "lymphocytes"}
    assert content["mpp"] == 0.5 and content["patch_size"] == [32, 32] and content["data_source"] == "little set"
    assert content["eval_metrics"] == {"test_miou": 0.1235, "test_iou": {"TUM": 0.5}}
    assert content["measured_on"] == {"test": "segmenter, 3 images"}
    assert content["authors"] == "A. Pathologist" and content["references"] == ["a paper"]
    assert content["version"] == bundle_version() and content["version"] in content["changelog"]


def test_what_was_not_measured_is_not_told(segmenter):
    assert zoo_metadata(segmenter, [], {})["eval_metrics"] == {}


def test_versions_are_those_installed(segmenter):
    content = zoo_metadata(segmenter, [], {})
    assert content["pytorch_version"] == installed.version("torch").partition("+")[0]
    for name, version in content["required_packages_version"].items():
        assert version == installed.version(name).partition("+")[0]


def test_a_version_of_its_own_has_a_line_in_the_changelog(segmenter):
    content = zoo_metadata(segmenter, [], {}, "9.1.0", "more slides")
    assert content["version"] == "9.1.0" and next(iter(content["changelog"].items())) == ("9.1.0", "more slides")
    assert (
        zoo_metadata(segmenter, [], {}, "9.1.0")["changelog"]["9.1.0"] == f"weights of little set, bundle {bundle_version()}"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": "1.0"}, "version: found '1.0', expected three numbers, as 1.2.3"),
        ({"change": "more"}, "change: found a line for the changelog and no version"),
        ({"told": {"author": "me"}}, "metadata has no setting 'author'; did you mean 'authors'"),
        ({"told": {"eval_metrics": {"miou": 1.0}}}, "metadata has no setting 'eval_metrics'"),
        ({"told": {"authors": 3}}, "metadata#authors: found 3, expected a text"),
        ({"told": {"references": "a paper"}}, "metadata#references: found 'a paper', expected a list of texts"),
    ],
)
def test_what_does_not_fit_is_refused(segmenter, settings, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        zoo_metadata(segmenter, [], **{"told": {}, **settings})
