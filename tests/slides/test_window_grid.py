from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.slides.window_grid import WindowGrid


def of(mask: np.ndarray):
    return lambda top, height: mask[top : top + height]


def test_steps_margins_and_rows():
    grid = WindowGrid((100, 300), (32, 48), 0.25)
    assert grid.step == (24, 36) and grid.margin == (4, 6)
    assert [grid.top(row) for row in range(grid.rows)] == [0, 24, 48, 68]  # the last ends with the map
    assert [grid.core(row) for row in range(grid.rows)] == [(0, 28), (28, 52), (52, 76), (76, 100)]


def test_a_map_smaller_than_a_window_has_one():
    grid = WindowGrid((20, 15), (32, 32))
    assert grid.rows == 1 and grid.top(0) == 0 and grid.core(0) == (0, 20)
    assert grid.lefts(0, of(np.ones((20, 15), bool))) == [0]


def test_windows_stand_where_tissue_begins():
    mask = np.zeros((32, 400), bool)
    mask[5, 100:110] = mask[20, 300:360] = True
    assert WindowGrid(mask.shape, (32, 32)).lefts(0, of(mask)) == [96, 296, 320, 344]
    assert WindowGrid(mask.shape, (32, 32)).lefts(0, of(np.zeros_like(mask))) == []


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), overlap=st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.75]), side=st.integers(8, 40))
def test_cores_hold_all_tissue(seed, overlap, side):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(5, 120, 2).tolist())
    mask = np.kron(rng.random((-(-size[0] // 9), -(-size[1] // 9))) < 0.2, np.ones((9, 9), bool))[: size[0], : size[1]] > 0
    grid = WindowGrid(size, (side, side), overlap)
    covered, rows = np.zeros(size, int), np.zeros(size[0], int)
    for row in range(grid.rows):
        first, last = grid.core(row)
        rows[first:last] += 1
        top, lefts = grid.top(row), grid.lefts(row, of(mask))
        assert lefts == sorted(set(lefts)) and all(0 <= left <= max(0, size[1] - side) for left in lefts)
        assert top <= first and last <= max(top + side, size[0])
        for left in lefts:
            covered[first:last, left : left + side] += 1
    assert (rows == 1).all() and covered[mask].min(initial=1) >= 1


@pytest.mark.parametrize(("least", "found"), [(0.0, [28]), (0.08, [28]), (0.11, [])])
def test_least_tissue(least, found):
    mask = np.zeros((32, 100), bool)
    mask[:10, 32:40] = True  # 80 px of a core of 32 x 24: the only row answers for all
    assert WindowGrid(mask.shape, (32, 32)).lefts(0, of(mask), least) == found
