from __future__ import annotations

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from scripts.networks.pda import PDASchedule, ProgressiveDropoutAttention


def test_hand_computed():
    """Two classes on a 1x2 map: what exceeds the share of its map's maximum is dropped, the rest averaged."""
    feature = torch.tensor([[[[1.0, 2.0]], [[3.0, 1.0]]]])  # (1, 2, 1, 2)
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[:, :, None, None]  # class k reads channel k
    # coefficient 0.6: thresholds 1.2 and 1.8; class 0 keeps [1, 0], class 1 keeps [0, 1]; attention [0.5, 0.5]
    pda = ProgressiveDropoutAttention(0.6, enabled=True)
    torch.testing.assert_close(pda(feature, weight), feature * 0.5)
    # coefficient 1 drops nothing: attention (1 + 3) / 2 and (2 + 1) / 2
    pda.coefficient = 1.0
    torch.testing.assert_close(pda(feature, weight), feature * torch.tensor([2.0, 1.5]))


def test_off_in_evaluation_and_before_its_epoch():
    feature, weight = torch.rand(1, 3, 4, 4), torch.rand(2, 3, 1, 1)
    assert ProgressiveDropoutAttention(0.5)(feature, weight) is feature
    assert ProgressiveDropoutAttention(0.5, enabled=True).eval()(feature, weight) is feature


def test_schedule():
    pda = ProgressiveDropoutAttention()
    schedule = PDASchedule(pda, decay=0.98, floor=0.65, start_epoch=4)
    assert schedule.coefficient(1) == 1
    assert schedule.coefficient(4) == pytest.approx(0.98**3)
    last = schedule.coefficient(1000)
    assert last == schedule.coefficient(999) and 0.65 * 0.98 < last <= 0.65
    trainer = Engine(lambda engine, batch: None)
    states = []
    schedule.attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: states.append((pda.enabled, pda.coefficient)))
    trainer.run([0], max_epochs=4)
    assert [s[0] for s in states] == [False, False, False, True]
    assert states[3][1] == pytest.approx(0.941192)


@pytest.mark.parametrize("coefficient", [0, 1.5, -1])
def test_refuses(coefficient):
    with pytest.raises(ValueError, match="coefficient"):
        ProgressiveDropoutAttention(coefficient)


def test_published_program(parity):
    arrays = np.load(parity / "pda.npz")
    feature, weight = torch.from_numpy(arrays["feature"]), torch.from_numpy(arrays["weight"])
    outputs = [name for name in arrays if name.startswith("out_")]
    assert len(outputs) == 3
    for name in outputs:
        pda = ProgressiveDropoutAttention(float(name[4:]), enabled=True)
        np.testing.assert_allclose(pda(feature, weight).numpy(), arrays[name], atol=1e-5)
