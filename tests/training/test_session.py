from __future__ import annotations

import pytest
import torch
from scripts.training.session import _smallest_batch, check_batches
from torch import nn
from torch.utils.data import DataLoader, RandomSampler


@pytest.mark.parametrize(
    ("patches", "drawn", "batch_size", "drop_last", "smallest"),
    [
        (1, 1, 8, False, 1),
        (5, 5, 8, False, 5),
        (8, 8, 8, False, 8),
        (9, 9, 8, False, 1),
        (9, 9, 8, True, 8),
        (9, 3, 8, True, 0),
        (9, 9, 1, True, 1),
    ],
)
def test_the_smallest_batch_of_an_epoch(patches, drawn, batch_size, drop_last, smallest):
    data = range(patches)
    loader = DataLoader(data, batch_size, sampler=RandomSampler(data, num_samples=drawn), drop_last=drop_last)
    sizes = [len(batch) for batch in loader]
    assert _smallest_batch(loader) == min(sizes, default=0) == smallest


def test_a_batch_of_one_patch_is_refused_for_networks_with_batch_normalisation():
    normalised, plain = (
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)),
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.GroupNorm(1, 2)),
    )
    with pytest.raises(ValueError, match=r"a batch of a single patch, expected two or more.*set batch_size"):
        check_batches(normalised, 1)
    check_batches(normalised, 2)
    check_batches(plain, 1)
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # what it would come to
        normalised(torch.zeros(1, 3, 1, 1))
