from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from scripts.training.temperature import Temperature, fit_temperature, logits_and_labels


def _drawn(count, classes=3, seed=0):
    """Logits, and labels that are as likely as their softmax says."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator)
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator)[:, 0]
    return logits, labels


def _images(logits, labels, size):
    """As an evaluator's output has them."""
    height, width = size
    for values, truth in zip(logits.split(height * width), labels.split(height * width), strict=True):
        yield {"pred": MetaTensor(values.T.reshape(-1, height, width)), "label": MetaTensor(truth.reshape(1, height, width))}


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7, 4.0])
def test_the_factor_of_logits_is_found(factor):
    logits, labels = _drawn(40_000)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_it_is_that_of_a_search_over_all():
    logits, labels = _drawn(500)
    temperatures = torch.logspace(-2, 3, 4001, base=2)
    losses = [torch.nn.functional.cross_entropy(logits / t, labels) for t in temperatures]
    assert fit_temperature(logits, labels) == pytest.approx(float(temperatures[torch.stack(losses).argmin()]), rel=2e-3)


def test_it_stays_in_its_range():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, torch.tensor([0, 1])) == pytest.approx(0.25, abs=2e-3)  # all are right
    assert fit_temperature(logits, torch.tensor([1, 0])) == pytest.approx(8, abs=0.05)  # all are wrong


def test_as_a_metric_of_an_evaluator():
    logits, labels = _drawn(64 * 400)
    images = list(_images(1.7 * logits, labels, (16, 25)))
    for image in images[::2]:  # not annotated, white: wherever these are, they say nothing
        image["pred"][:, :4], image["label"][:, :4] = torch.tensor([9.0, -9, -9])[:, None, None], 3
        image["label"][:, 3] = 255
    engine = Engine(lambda _, batch: [batch])
    Temperature(3).attach(engine, "temperature")
    assert engine.run(images).metrics["temperature"] == pytest.approx(1.7, rel=0.05)
    assert engine.run(images).metrics["temperature"] == engine.state.metrics["temperature"]
    whole = {key: torch.stack([image[key] for image in images[1::2]]) for key in ("pred", "label")}  # one batch
    assert [len(part) for part in logits_and_labels(whole)] == [32, 32]
    engine = Engine(lambda _, batch: batch)
    Temperature(3).attach(engine, "temperature")
    assert engine.run([whole]).metrics["temperature"] == pytest.approx(1.7, rel=0.1)


def test_the_sample_is_bounded_and_of_all_batches_alike():
    logits, labels = _drawn(40 * 100, classes=2)
    metric = Temperature(2, per_batch=16, in_all=100)
    for number, image in enumerate(_images(logits, labels, (10, 10))):
        image["pred"] = torch.full_like(image["pred"], float(number))
        metric.update(logits_and_labels([image]))
        assert metric._count == sum(map(len, metric._labels)) <= 100
    counts = torch.cat(metric._logits)[:, 0].long().bincount(minlength=40)
    assert counts.max() <= 2 and (counts > 0).sum() >= 38 and len(counts) == 40


def test_without_a_labelled_pixel_it_is_one():
    metric = Temperature(2)
    assert metric.compute() == 1.0
    metric.update(([torch.randn(2, 4, 4)], [torch.full((4, 4), 2)]))
    metric.update(([torch.full((2, 4, 4), torch.nan)], [torch.zeros(4, 4)]))
    assert metric.compute() == 1.0


@pytest.mark.parametrize("wrong", [{"per_batch": 0}, {"in_all": 0}])
def test_a_sample_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="expected 1 or more"):
        Temperature(2, **wrong)
