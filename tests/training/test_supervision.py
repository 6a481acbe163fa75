from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.losses import FocalLoss
from scripts.training.supervision import MultiLayerPseudoSupervisionLoss


def test_hand_computed():
    """Logits 0 give log 2 per tissue pixel; a sure pixel gives almost 0; white pixels count nowhere."""
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0, 0, 3] = 100.0
    masks = torch.tensor([[[[0, 1, 2, 2]], [[0, 2, 2, 0]], [[2, 2, 2, 0]]]])  # (1, 3, 1, 4)
    expected = 0.2 * math.log(2) + 0.2 * math.log(2) / 2 + 0.6 * 0.0
    assert MultiLayerPseudoSupervisionLoss()(logits, masks).item() == pytest.approx(expected)


def test_white_pixels_have_no_gradient():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    masks = torch.randint(0, 4, (2, 3, 4, 4), dtype=torch.uint8)
    masks[0, :, :2] = 3
    MultiLayerPseudoSupervisionLoss()(logits, masks).backward()
    white = (masks >= 3).all(dim=1)
    assert white.any()
    assert (logits.grad.permute(0, 2, 3, 1)[white] == 0).all()
    assert (logits.grad.permute(0, 2, 3, 1)[~white].abs().sum(1) > 0).all()


def test_equals_weighted_cross_entropies():
    logits, masks = torch.randn(2, 5, 6, 6), torch.randint(0, 5, (2, 2, 6, 6))
    loss = MultiLayerPseudoSupervisionLoss((0.3, 0.9))(logits, masks)
    parts = [torch.nn.functional.cross_entropy(logits, masks[:, k]) for k in range(2)]
    torch.testing.assert_close(loss, 0.3 * parts[0] + 0.9 * parts[1])


def test_all_white_is_zero():
    loss = MultiLayerPseudoSupervisionLoss((1.0,))(torch.randn(1, 2, 3, 3), torch.full((1, 1, 3, 3), 2))
    assert loss.item() == 0


@pytest.mark.parametrize("weights", [(), (-1.0, 2.0), (0.0, 0.0)])
def test_refuses_weights(weights):
    with pytest.raises(ValueError, match="weights"):
        MultiLayerPseudoSupervisionLoss(weights)


def test_refuses_shapes():
    with pytest.raises(ValueError, match="layers"):
        MultiLayerPseudoSupervisionLoss()(torch.randn(1, 2, 3, 3), torch.zeros(1, 2, 3, 3))


def test_published_program(parity):
    arrays = np.load(parity / "mlps_loss.npz")
    logits = torch.from_numpy(arrays["logits"]).requires_grad_()
    masks = torch.from_numpy(np.stack([arrays[layer] for layer in ("b4_5", "b5_2", "bn7")], axis=1))
    loss = MultiLayerPseudoSupervisionLoss(published=True)(logits, masks)
    loss.backward()
    assert loss.item() == pytest.approx(float(arrays["loss"]), abs=1e-6)
    np.testing.assert_allclose(logits.grad, arrays["grad"], atol=1e-6)


def test_published_hand_computed():
    """Two pixels, one white: log(2 + 1) for the tissue (the further logit is 0), about 0 for white; over 2 px, over batch."""
    masks = torch.tensor([[[[0, 2]]]]).expand(3, 1, 1, 2)
    loss = MultiLayerPseudoSupervisionLoss((1.0,), published=True)(torch.zeros(3, 2, 1, 2), masks)
    assert loss.item() == pytest.approx(math.log(3) / 2 / 3)
    loss = MultiLayerPseudoSupervisionLoss((1.0,), published=True, white_background=False)
    assert loss(torch.zeros(3, 2, 1, 2), masks % 2).item() == pytest.approx(math.log(2) / 3)


@pytest.mark.parametrize(
    "criterion",
    [torch.nn.CrossEntropyLoss(), FocalLoss(to_onehot_y=True, use_softmax=True, gamma=0.0, ignore_index=-100)],
    ids=["torch", "monai"],
)
def test_another_criterion_per_depth(criterion):
    """Cross-entropy by other names: torch's, and MONAI's focal loss without focus."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, generator=generator)
    masks = torch.randint(0, 3, (2, 2, 4, 4), generator=generator)
    expected = MultiLayerPseudoSupervisionLoss((0.25, 0.75))(logits, masks)
    found = MultiLayerPseudoSupervisionLoss((0.25, 0.75), criterion=criterion)(logits, masks)
    torch.testing.assert_close(found, expected)
    masks[:, :, 0] = 3  # white
    found = MultiLayerPseudoSupervisionLoss((0.25, 0.75), criterion=criterion)(logits, masks)
    assert torch.isfinite(found) and found < 2 * expected
    assert MultiLayerPseudoSupervisionLoss((0.25, 0.75), criterion=criterion)(logits, torch.full_like(masks, 3)) == 0


def test_the_published_loss_has_its_own_criterion():
    with pytest.raises(ValueError, match="criterion: the published loss"):
        MultiLayerPseudoSupervisionLoss(published=True, criterion=torch.nn.CrossEntropyLoss())
