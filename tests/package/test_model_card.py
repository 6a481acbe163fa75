from __future__ import annotations

import re
from dataclasses import replace

import pytest
from packed import FACTS, NAME, write_real_models
from scripts.package.measured import Measured
from scripts.package.model_card import model_card
from scripts.package.zoo_metadata import zoo_metadata
from scripts.weights.description import read_description

FIGURES = [Measured("test", "gated", "7 images", {"miou": 0.4, "iou": {"TUM": 0.25}}, {"miou": (0.3, 0.5)})]


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    models = write_real_models(tmp_path_factory.mktemp("models"))
    trained = [read_description(models / f"{name}.pt") for name in ("model", "classifier")]

    def write(figures=FIGURES, facts=FACTS, license_=None):
        segmenter = replace(trained[0], facts=replace(facts, patch_size=(32, 32)))
        return model_card(NAME, zoo_metadata(segmenter, figures, {}), segmenter, trained[1], figures, license_)

    return write


def test_classes_and_networks_are_those_of_the_weights(card):
    text = card()
    assert re.findall(r"^\| (\d) \| (\w+) \| (\w+) \|", text, flags=re.M) == [
        ("0", "TUM", "tumour"), ("1", "STR", "stroma"), ("2", "LYM", "lymphocytes"),
    ]  # fmt: skip
    assert "DeepLabV3Plus on ResNet" in text and "TissueClassifier on ResNet38" in text
    assert "patches of 32 x 32 px at\n0.5 µm/px" in text and "with the value 3" in text
    assert "$" not in text and "None" not in text


def test_figures_stand_with_what_they_were_measured_on(card):
    rows = [line for line in card().splitlines() if line.startswith("| gated")]
    assert rows == ["| gated | 7 images | miou | 0.400 (0.300 to 0.500) |", "| gated | 7 images | iou TUM | 0.250 |"]
    assert "Nothing was measured of these weights." in card([]) and "Nothing was measured" not in card()


def test_what_is_not_known_is_not_told(card):
    assert "at\nµm/px that are not known" in card(facts=replace(FACTS, mpp=None))
    assert "White belongs to the tissue" in card(facts=replace(FACTS, white_background=False))
    assert "not stated by those who packed the weights" in card()
    assert "Terms of the training data: CC0" in card(license_="CC0")
