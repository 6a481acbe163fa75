"""No validation score is called mIoU but against true masks."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from scripts.training import validation_metric, validation_score


def _metrics(true_masks):
    engine = Engine(lambda _engine, batch: batch)
    for name, metric in validation_metric(2, true_masks, lambda output: output).items():
        metric.attach(engine, name)
    return engine.run([([torch.tensor([[0, 1, 1, 1]])], [torch.tensor([[0, 0, 1, 1]])])]).metrics


def test_against_true_masks_it_is_miou():
    found = _metrics(True)
    assert found["miou"] == pytest.approx((1 / 2 + 2 / 3) / 2) and {"fwiou", "pixel_accuracy"} <= set(found)


def test_against_pseudo_masks_it_is_agreement_and_nothing_else():
    assert _metrics(False) == pytest.approx(
        {"agreement_by_class": (1 / 2 + 2 / 3) / 2, "agreement_by_size": (1 / 2 + 2 / 3) / 2}
    )


@pytest.mark.parametrize(
    ("score", "true_masks", "name"),
    [
        (None, True, None),
        (None, False, None),
        ("miou", True, "miou"),
        ("my_score", True, "my_score"),
        ("miou", False, "agreement_by_class"),
        ("fwiou", False, "agreement_by_size"),
        ("agreement_by_size", False, "agreement_by_size"),
    ],
)
def test_the_score_that_is_kept_by(score, true_masks, name):
    assert validation_score(score, true_masks) == name


def test_a_score_that_pseudo_masks_do_not_give():
    with pytest.raises(ValueError, match="keep: found 'pixel_accuracy', expected one of miou, fwiou, agreement_by_class"):
        validation_score("pixel_accuracy", False)
