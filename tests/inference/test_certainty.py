from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.inference import load_model
from scripts.inference.certainty import certainty, fitted_temperature, grey, mean_certainty
from tiny import write_models

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True, mpp=0.5)


def _pixels(*pixels):
    return torch.tensor(pixels).T[:, None]  # (C, 1, W)


def test_the_margin_by_hand():
    # as it is; a class that was gated, so that the sum is 0.5; nothing but one class; a draw; no class at all
    found = certainty(_pixels([0.7, 0.2, 0.1], [0.4, 0.1, 0.0], [0.0, 0.3, 0.0], [0.2, 0.4, 0.4], [0.0, 0.0, 0.0]))
    assert found.shape == (1, 5) and found.dtype == torch.float32
    assert found[0].tolist() == pytest.approx([0.5, 0.6, 1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(0.5, (0.64 - 0.04) / (0.64 + 0.04)), (2.0, (0.8**0.5 - 0.2**0.5) / (0.8**0.5 + 0.2**0.5)), (1.0, 0.6)],
)
def test_tempered_probabilities_are_powers_that_sum_to_one(temperature, expected):
    assert float(certainty(_pixels([0.8, 0.2]), temperature)) == pytest.approx(expected)
    # the same as that of logits divided by T
    logits = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    ranked = torch.softmax(logits / temperature, 0).sort(0, descending=True).values
    torch.testing.assert_close(certainty(torch.softmax(logits, 0), temperature), ranked[0] - ranked[1])


def test_small_probabilities_stay_in_proportion():
    found = certainty(_pixels([1e-12, 1e-13, 0.0], [1e-38, 0.0, 0.0]), 0.25)
    assert found[0].tolist() == pytest.approx([(1 - 1e-4) / (1 + 1e-4), 1.0], abs=1e-4)


def test_one_class_is_certain_and_many_rows_are_as_few():
    assert certainty(torch.full((1, 2, 2), 0.3)).eq(1).all()
    values = torch.rand(3, 1300, 4, generator=torch.Generator().manual_seed(0))
    kept = values.clone()
    torch.testing.assert_close(certainty(values, 2.0)[600:], certainty(values[:, 600:], 2.0))
    assert torch.equal(values, kept) and certainty(torch.zeros(3, 0, 4)).shape == (0, 4)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_what_cannot_be_tempered_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature: found"):
        certainty(torch.zeros(2, 2, 2), temperature)
    with pytest.raises(ValueError, match=r"expected \(C, H, W\), found \(2, 2\)"):
        certainty(torch.zeros(2, 2))


def test_the_mean_is_that_of_the_tissue():
    values = np.array([[0.5, 0.25], [1.0, 0.0]], np.float32)
    assert mean_certainty(values, np.array([[0, 1], [2, 2]]), 2) == 0.375
    assert mean_certainty(values, np.full((2, 2), 2), 2) is None
    assert grey(values).tolist() == [[128, 64], [255, 0]]


def test_the_temperature_of_weights():
    assert fitted_temperature({}) == 1.0 and fitted_temperature({"miou": 0.5, "temperature": 2}) == 2.0
    for wrong in (0, 9, "1", float("nan"), True):
        with pytest.raises(ValueError, match=r"^model\.json: temperature: found .*expected a number from 0\.25 to 8"):
            fitted_temperature({"temperature": wrong}, "model.json")


def test_a_model_takes_its_temperature_from_the_weights(tmp_path):
    models = write_models(tmp_path, FACTS)
    image = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    write_image(tmp_path / "image.png", image)
    plain = load_model(models, gated=False).segment(image)
    description = json.loads((models / "model.json").read_text())
    (models / "model.json").write_text(json.dumps({**description, "scores": {"miou": 0.5, "temperature": 0.5}}))
    sharp = load_model(models, gated=False).segment(image)
    assert (plain.temperature, sharp.temperature) == (1.0, 0.5)
    assert sharp.certainty.shape == (40, 48) and sharp.certainty.dtype == np.float32
    assert np.array_equal(sharp.label_map, plain.label_map) and (sharp.certainty >= plain.certainty - 1e-6).all()
    ranked = np.sort(plain.probabilities, axis=0)
    np.testing.assert_allclose(plain.certainty, (ranked[-1] - ranked[-2]) / ranked.sum(0), atol=1e-5)
    assert load_model(models, gated=False, temperature=2).segment(image).temperature == 2
