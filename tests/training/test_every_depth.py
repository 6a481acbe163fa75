from __future__ import annotations

import torch
from scripts.training.every_depth import EveryDepthLoss


def test_the_loss_is_the_mean_over_depths():
    torch.manual_seed(0)
    logits, label = torch.randn(4, 2, 3), torch.randint(0, 2, (4, 3))
    plain = torch.nn.MultiLabelSoftMarginLoss()
    expected = (plain(logits[:, 0], label) + plain(logits[:, 1], label)) / 2
    torch.testing.assert_close(EveryDepthLoss(plain)(logits, label), expected)


def test_other_outputs_go_to_the_loss_as_they_are():
    seen = []
    loss = EveryDepthLoss(lambda *given: seen.append(given))
    logits, label = torch.zeros(4, 3), torch.zeros(4, 3)
    loss(logits, label)
    loss({"logits": logits}, label)
    assert seen[0][0] is logits and seen[0][1] is label and seen[1][0]["logits"] is logits
