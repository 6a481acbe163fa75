from __future__ import annotations

import numpy as np
import pytest
from scripts.demo.cells import Nuclei, place, stamp


def one(y=20, x=20, major=6.0, minor=3.0, angle=0.0, dark=1.5, vesicular=0.0) -> Nuclei:
    values = (y, x, major, minor, angle, dark, vesicular, 0.0)
    return Nuclei(np.array([values[0]]), np.array([values[1]]), *(np.array([v]) for v in values[2:]))


def drawn(nuclei: Nuclei, size=(41, 41), **options) -> tuple[np.ndarray, np.ndarray]:
    chromatin, body = np.zeros(size, np.float32), np.zeros(size, np.float32)
    stamp(np.random.default_rng(0), nuclei, chromatin, body, **options)
    return chromatin, body


@pytest.mark.parametrize("radius", [2.5, 4.0])
def test_places_keep_their_distance(radius):
    taken = np.zeros((120, 100), bool)
    y, x, angle = place(np.random.default_rng(0), taken, np.ones(taken.shape), (radius, radius), tries=6)
    assert len(y) == len(x) == len(angle)
    # discs of half the distance fill between 35 % (loose) and 91 % (hexagonal packing) of the plane
    assert 0.35 < len(y) * np.pi * (radius / 2) ** 2 / taken.size < 0.91
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    assert distance[~np.eye(len(y), dtype=bool)].min() > radius


def test_places_follow_density_and_leave_what_is_taken():
    density = np.zeros((80, 80))
    density[:, 40:] = 1
    taken = np.zeros(density.shape, bool)
    taken[:40] = True
    y, x, _ = place(np.random.default_rng(1), taken, density, (3, 3))
    assert len(y) > 20
    assert x.min() >= 40
    assert y.min() >= 40
    assert taken[y, x].all()  # later darts find them


def test_low_rank_is_placed_first():
    rank = np.broadcast_to(np.arange(60.0)[:, None], (60, 60))
    y, _, _ = place(np.random.default_rng(2), np.zeros((60, 60), bool), np.ones((60, 60)), (4, 4), rank=rank)
    assert (np.diff(y) >= 0).all()


def test_nothing_to_place():
    y, x, angle = place(np.random.default_rng(0), np.zeros((9, 9), bool), np.zeros((9, 9)), (2, 2))
    assert len(y) == len(x) == len(angle) == 0


def test_a_nucleus_is_an_ellipse_of_its_size_and_direction():
    chromatin, body = drawn(one())
    assert body.sum() == pytest.approx(np.pi * 6 * 3, rel=0.25)
    assert chromatin.max() == pytest.approx(1.5, rel=1e-5)
    assert (np.ptp(np.argwhere(body > 0.5), axis=0) + 1).tolist() == pytest.approx([6, 12], abs=2)
    _, turned = drawn(one(angle=np.pi / 2))
    assert (np.ptp(np.argwhere(turned > 0.5), axis=0) + 1).tolist() == pytest.approx([12, 6], abs=2)


def test_a_vesicular_nucleus_is_darkest_at_its_membrane():
    chromatin, body = drawn(one(major=9, minor=9, vesicular=1.0))
    y, x = np.mgrid[:41, :41]
    radius = np.hypot(y - 20, x - 20)
    ring, within = (radius > 7) & (radius < 8) & (body > 0.9), (radius > 4.5) & (radius < 6)
    assert chromatin[ring].mean() > 1.3 * chromatin[within].mean()


def test_the_border_cuts_and_does_not_wrap():
    _, body = drawn(one(y=0, x=40))
    assert body[0, 40] > 0.9
    assert body[:, :20].max() == 0
    assert body[20:].max() == 0


def test_overlap_keeps_the_darker():
    pair = one()
    for name in vars(pair):
        setattr(pair, name, np.repeat(getattr(pair, name), 2))
    pair.dark = np.array([0.5, 2.0])
    assert drawn(pair)[0].max() == pytest.approx(2.0, rel=1e-5)
