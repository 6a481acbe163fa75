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
        ((44, 45), [(16, 16), (44, 32)]),  # one window that is 1.4 times as long, in the place of two
        ((20, 40), [(16, 16), (20, 40)]),  # those of the patches' size stay
    ],
)
def test_windows_are_no_larger_than_the_image(size, expected):
    assert MultiWindowInferer((16, 16), [1.0, 2.0]).windows(size) == expected


class Asked:
    """Notes how it is asked; says of every window, and of large and small ones alone, something else."""

    def __init__(self):
        self.calls = []

    def look(self, x, smallest, largest):
        self.calls.append((tuple(x.shape), smallest, largest))
        found = {"maps": torch.full((len(x), 1, *x.shape[2:]), 3.0 if largest else 1.0)}
        if largest:
            found["classes"] = torch.stack([x.mean(dim=(1, 2, 3)), torch.ones(len(x))], dim=1)
        if smallest:
            found["votes"] = torch.full((len(x), 1, *x.shape[2:]), 7.0)
        return found

    def passes(self, largest):
        return 3 if largest else 1

    def join(self, looks):
        return torch.cat([looks[name] for name in ("maps", "classes", "votes")], dim=1)


@pytest.mark.parametrize("scales", [[1.0, 2.0], [2.0, 1.0]])
def test_what_is_asked_in_windows_of_a_size_is_averaged_over_them_alone(scales):
    network, image = Asked(), torch.rand(1, 3, 32, 32)
    found = MultiWindowInferer((8, 8), scales, sw_batch_size=8, overlap=0.0)(image, network)
    small, large = [((8, 3, 8, 8), True, False)] * 2, [((2, 3, 16, 16), False, True)] * 2
    assert network.calls == (small + large if scales[0] == 1 else large + small)
    assert found[0, :, 5, 20].tolist() == pytest.approx([(3 * 3.0 + 1.0) / 4, float(image[:, :, :16, 16:].mean()), 1.0, 7.0])


def test_windows_of_one_size_are_the_smallest_and_the_largest():
    network = Asked()
    found = MultiWindowInferer((8, 8), [2.0], overlap=0.25)(image := torch.rand(1, 3, 24, 28), network)
    assert all(smallest and largest for _, smallest, largest in network.calls) and found.shape == (1, 4, 24, 28)
    # values of a window are blended like maps
    mean = SlidingWindowInferer((16, 16), 4, overlap=0.25)(image.mean(1, keepdim=True), lambda x: _means(x)[:, :1])
    torch.testing.assert_close(found[:, 1:2], mean)


@pytest.mark.parametrize("scales", [[], [0.0], [1.0, -1]])
def test_scales_are_positive(scales):
    with pytest.raises(ValueError, match="positive"):
        MultiWindowInferer((8, 8), scales)
