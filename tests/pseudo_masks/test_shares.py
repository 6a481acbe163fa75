from __future__ import annotations

import pytest
import torch
from scripts.pseudo_masks.shares import class_offsets, standardise


def test_standard_maps_keep_the_arg_max_and_have_unit_scale_among_present_classes():
    torch.manual_seed(0)
    maps = torch.randn(4, 3, 5, 7) * torch.tensor([1.0, 10, 100, 0.01])[:, None, None, None]
    present = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]])
    found = standardise(maps, present)
    absent = ~present.bool()[:, :, None, None]
    for one, other in ((maps, found),):
        assert torch.equal(*(m.masked_fill(absent, float("-inf")).argmax(dim=1) for m in (one, other)))
    assert (found.masked_select(absent.expand_as(found)) == 0).all()
    torch.testing.assert_close(found.sum(dim=1), torch.zeros(4, 5, 7), atol=1e-5, rtol=0)
    squares = found.square().sum(dim=(1, 2, 3)) / (present.sum(dim=1) * 35)
    torch.testing.assert_close(squares, torch.ones(4))
    assert (standardise(torch.ones(1, 3, 2, 2), present[:1]) == 0).all()  # maps that say nothing


def _scores(bias, patches=60, classes=2):
    torch.manual_seed(0)
    noise = torch.randn(patches, classes, 400)
    return list(noise + torch.tensor(bias)[None, :, None])


def _share(scores, offsets):
    return torch.stack([((s + offsets[:, None]).argmax(dim=0) == 0).float().mean() for s in scores]).mean().item()


@pytest.mark.parametrize("prior", [0.0, 0.5, 1.0])
def test_offsets_move_the_mean_share_as_far_as_asked(prior):
    scores = _scores([0.8, 0.0])
    present = [torch.tensor([1, 1])] * len(scores)
    before, offsets = _share(scores, torch.zeros(2)), class_offsets(scores, present, prior)
    assert before > 0.65 and offsets.sum().item() == pytest.approx(0, abs=1e-6)
    assert _share(scores, offsets) == pytest.approx(before + prior * (0.5 - before), abs=0.01)
    if not prior:
        assert (offsets == 0).all()


def test_a_class_of_three_may_expect_a_third_and_one_that_shares_nothing_is_left():
    scores = _scores([0.5, 0.0, 0.0, 9.0], classes=4)
    present = [torch.tensor([1, 1, 1, 0])] * len(scores)
    offsets = class_offsets(scores, present, 1.0)
    won = torch.stack([(s + offsets[:, None])[:3].argmax(dim=0) for s in scores])
    shares = [(won == k).float().mean().item() for k in range(3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.01) and offsets[3] == 0


@pytest.mark.parametrize("patches", [1, 16, 32])
def test_few_patches_say_less(patches):
    scores = _scores([0.8, 0.0])
    few, present = scores[:patches], [torch.tensor([1, 1])] * patches
    before = _share(few, torch.zeros(2))
    expected = before + patches / 32 * (0.5 - before)
    assert _share(few, class_offsets(few, present, 1.0)) == pytest.approx(expected, abs=0.02)


def test_patches_without_tissue_say_nothing():
    scores = _scores([0.8, 0.0])
    present = [torch.tensor([1, 1])] * len(scores)
    white = [torch.empty(2, 0)] * len(scores)
    expected = class_offsets(scores, present, 1.0)
    assert torch.equal(class_offsets([*scores, *white], [*present, *present], 1.0), expected) and expected[0] < 0
    assert torch.equal(class_offsets(white, present, 1.0), torch.zeros(2))
