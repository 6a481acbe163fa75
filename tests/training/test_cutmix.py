from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.training.cutmix import CutMixBatch, cut_mix


def coded(n, size, layers=2):
    """Every pixel says which patch it is from, and where."""
    position = torch.arange(size * size).reshape(size, size)
    image = torch.stack([torch.stack([torch.full((size, size), k), position, position]) for k in range(n)]).float()
    masks = torch.stack([torch.full((layers, size, size), k) for k in range(n)])
    return image, masks


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 6), size=st.integers(4, 20), prob=st.floats(0, 1), seed=st.integers(0, 1000))
def test_masks_follow_pixels(n, size, prob, seed):
    torch.manual_seed(seed)
    image, masks = coded(n, size)
    kept = image.clone(), masks.clone()
    mixed, mixed_masks = cut_mix(image, masks, prob)
    assert torch.equal(image, kept[0]) and torch.equal(masks, kept[1])
    assert torch.equal(mixed[:, 0].long(), mixed_masks[:, 0]) and torch.equal(mixed_masks[:, 0], mixed_masks[:, 1])
    assert torch.equal(mixed[:, 1], image[:, 1])  # pasted in place
    for k in range(n):
        foreign = torch.nonzero(mixed_masks[k, 0] != k)
        if len(foreign):  # one full rectangle, of one donor, of a size within the range
            (top, left), (bottom, right) = foreign.amin(0).tolist(), foreign.amax(0).tolist()
            height, width = bottom - top + 1, right - left + 1
            assert len(foreign) == height * width and len(mixed_masks[k, 0][foreign[:, 0], foreign[:, 1]].unique()) == 1
            for side in (height, width):
                assert round(0.25 * size) <= side <= round(0.75 * size)


def test_share_of_patches():
    torch.manual_seed(0)
    image, masks = coded(400, 8, 1)
    for prob in (0.0, 0.5, 1.0):
        changed = (cut_mix(image, masks, prob)[1] != masks).flatten(1).any(dim=1).float().mean()
        assert abs(float(changed) - prob) < 0.06


def test_prepare_batch_is_repeatable_and_can_be_off():
    image, masks = coded(8, 8)
    prepare = CutMixBatch(lambda batch, device: (image, masks), prob=1.0)
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(prepare({}, "cpu"))
    assert torch.equal(outputs[0][0], outputs[1][0]) and not torch.equal(outputs[0][1], masks)
    assert CutMixBatch(lambda: (image, masks), prob=0.0)()[0] is image


@pytest.mark.parametrize("arguments", [{"prob": 1.5}, {"sides": (0.5, 0.2)}, {"sides": (0, 1)}])
def test_values_out_of_range(arguments):
    with pytest.raises(ValueError, match="expected prob"):
        CutMixBatch(lambda: None, **arguments)
