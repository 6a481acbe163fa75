from __future__ import annotations

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from scripts.inference.windows import MultiWindowInferer


def _means(x):
    """Each window's own mean: what a window sees, and nothing else."""
    return x[:, :1].mean(dim=(2, 3), keepdim=True).expand(-1, 2, *x.shape[2:]).clone()


def test_one_scale_is_the_plain_inferer():
    image = torch.rand(1, 3, 40, 56)
    settings = {"overlap": 0.5, "mode": "gaussian"}
    expected = SlidingWindowInferer((16, 16), 4, **settings)(image, _means)
    torch.testing.assert_close(MultiWindowInferer((16, 16), [1.0], 4, **settings)(image, _means), expected)


def test_maps_are_averaged_over_window_sizes():
    image = torch.rand(1, 3, 32, 32)
    plain = [SlidingWindowInferer((s, s), 4, overlap=0.25)(image, _means) for s in (8, 16)]
    found = MultiWindowInferer((8, 8), [1.0, 2.0], 4, overlap=0.25)(image, _means)
    torch.testing.assert_close(found, (plain[0] + plain[1]) / 2)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 80), [(16, 16), (32, 32)]),
        ((16, 16), [(16, 16)]),  # a patch has no larger window
        ((24, 80), [(16, 16), (24, 32)]),
        ((10, 10), [(16, 16)]),  # smaller than a patch: padded to one
    ],
)
def test_windows_are_no_larger_than_the_image(size, expected):
    assert MultiWindowInferer((16, 16), [1.0, 2.0]).windows(size) == expected


def test_larger_windows_come_in_smaller_batches_and_only_to_the_part_that_segments():
    class Network:
        shapes = ([], [])

        def __call__(self, x):
            self.shapes[0].append(tuple(x.shape))
            return torch.ones(len(x), 3, *x.shape[2:])

        def segment(self, x):
            self.shapes[1].append(tuple(x.shape))
            return torch.full((len(x), 1, *x.shape[2:]), 3.0)

    network = Network()
    found = MultiWindowInferer((8, 8), [1.0, 2.0], sw_batch_size=8, overlap=0.0)(torch.rand(1, 3, 32, 32), network)
    assert network.shapes == ([(8, 3, 8, 8)] * 2, [(2, 3, 16, 16)] * 2)
    assert found[0, :, 5, 5].tolist() == [2.0, 1.0, 1.0]


@pytest.mark.parametrize("scales", [[], [0.0], [1.0, -1]])
def test_scales_are_positive(scales):
    with pytest.raises(ValueError, match="positive"):
        MultiWindowInferer((8, 8), scales)
