"""Patches of all looks, of all slides, none like another."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.labelling import spread
from scripts.labelling.looks import standardised
from scripts.labelling.spread import choose_spread


def _clusters(rng, sizes, spread=0.05):
    """Points around well separated centres, and the centre of each."""
    centres = np.eye(len(sizes)) * 4
    which = np.repeat(np.arange(len(sizes)), sizes)
    return centres[which] + rng.normal(0, spread, (len(which), len(sizes))), which


def test_every_look_is_visited_however_rare(rng):
    features, which = _clusters(rng, [200, 100, 50, 5])
    chosen = choose_spread(features, ["s"] * len(which), 8, alike=1.0)
    assert len(set(chosen.numbers)) == 8
    assert set(which[chosen.numbers]) == {0, 1, 2, 3}


def test_none_is_like_one_that_is_chosen_or_known(rng):
    features = np.repeat(rng.normal(size=(6, 20)), 4, axis=0)  # four of each
    features += rng.normal(0, 1e-3, features.shape)
    chosen = choose_spread(features, ["s"] * 24, 24)
    assert sorted(k // 4 for k in chosen.numbers) == list(range(6))
    assert chosen.alike == 18
    rest = choose_spread(features, ["s"] * 24, 24, known=features[:8])
    assert sorted(k // 4 for k in rest.numbers) == [2, 3, 4, 5]
    assert rest.alike == 20


def test_slides_are_used_evenly(rng):
    features = rng.normal(size=(300, 10))
    groups = ["a"] * 200 + ["b"] * 50 + ["c"] * 50
    counts = Counter(groups[k] for k in choose_spread(features, groups, 30, alike=1.0).numbers)
    assert min(counts.values()) >= 8


def test_looks_take_turns(rng):
    features, _ = _clusters(rng, [40, 40, 40])
    chosen = choose_spread(features, ["s"] * 120, 36, alike=1.0)
    assert len(set(chosen.looks)) == 4
    first = chosen.looks[: len(set(chosen.looks))]
    assert len(set(first)) == len(first)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 3))
def test_as_many_as_are_wanted_each_once_the_same_every_time(number, count, seed):
    features = np.random.default_rng(seed).normal(size=(number, 5))
    groups = [str(k % 3) for k in range(number)]
    chosen = choose_spread(features, groups, count, alike=1.0, seed=seed)
    assert len(set(chosen.numbers)) == len(chosen.numbers) == len(chosen.looks) == min(count, number)
    assert choose_spread(features, groups, count, alike=1.0, seed=seed) == chosen


def _one_by_one(features, groups, count, known, alike):
    """The same choice, told in the fewest words: after each pick, all patches are compared with it."""
    both = standardised(np.concatenate([features, known]))
    own, before = both[: len(features)], both[len(features) :]
    free = (own @ before.T).max(axis=1, initial=-1.0) <= alike
    taken, uses = [], Counter()
    while len(taken) < count and free.any():
        left = np.flatnonzero(free)
        cluster, distance = spread._clusters(own[left], min(count - len(taken), len(left), 500), 0)
        waiting = [left[part[np.argsort(distance[part], kind="stable")]] for part in spread._by_size(cluster)]
        while len(taken) < count and any(free[part].any() for part in waiting):
            for part in waiting:
                members = part[free[part]]
                if len(taken) < count and len(members):
                    pick = min(members[: max(1, round(len(members) / 2))], key=lambda k: uses[groups[k]])
                    taken.append(int(pick))
                    uses[groups[pick]] += 1
                    free &= own @ own[pick] <= alike
                    free[pick] = False
    return taken, int((~free).sum()) - len(taken)


@pytest.mark.parametrize("count", [30, 250, 400])
@pytest.mark.parametrize("known", [0, 40])
def test_many_are_chosen_as_one_by_one(rng, count, known):
    """With copies, tissue that is alike, and several turns and rounds of clusters."""
    features = rng.normal(size=(12, 24))[rng.integers(0, 12, 440)] + rng.normal(size=(440, 24))
    features[:60] = features[200:260] + rng.normal(0, 0.05, (60, 24))
    groups = [f"s{k}" for k in rng.integers(0, 5, 400)]
    chosen = choose_spread(features[:400], groups, count, features[400 : 400 + known])
    expected, alike = _one_by_one(features[:400], groups, count, features[400 : 400 + known], spread.ALIKE)
    assert sorted(chosen.numbers) == sorted(expected) and chosen.alike == alike
    assert alike > 20


def test_nothing_to_choose_from_is_said():
    with pytest.raises(ValueError, match="found 0 patches to choose 3 from"):
        choose_spread(np.zeros((0, 4)), [], 3)
