"""Which patches to label: of all looks, of all slides, none like another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from .looks import standardised

__all__ = ["ALIKE", "Chosen", "choose_spread"]

#: Cosine of standardised features above which patches show the same tissue: copies, and windows less than a quarter apart.
ALIKE = 0.75
_NEAR = 0.5  # share of a cluster, its best, in which the slide that was chosen least may win
_VALUABLE = 3  # times the patches wanted: of so many, the most valuable, the clusters are made
_LOOKS = 12  # clusters that nine patches at once are taken from, at most
_SAMPLE = 20_000  # patches that the centres are found by
_MOST = 500  # clusters; of more patches than that, each cluster gives several


@dataclass(frozen=True)
class Chosen:
    """Patches that were chosen.

    Args:
        numbers: of the patches, in the order in which they are to be labelled: each look in its turn.
        looks: the look of each.
        alike: how many were passed over as they are like one that is labelled or chosen.
    """

    numbers: list[int]
    looks: list[int]
    alike: int


def choose_spread(
    features: np.ndarray,
    groups: Sequence[str],
    count: int,
    known: np.ndarray | None = None,
    value: np.ndarray | None = None,
    alike: float = ALIKE,
    seed: int = 0,
) -> Chosen:
    """Choose patches: as many clusters of looks as patches are wanted, one of each.

    Of a cluster it is one near its centre; with ``value``, the clusters are of the most valuable patches, three times as
    many as are wanted, and it is one of the best of its cluster. Among these it is of the group that has been chosen least.

    Args:
        features: ``(N, D)``, see :class:`~.looks.Looks`.
        groups: slide or case of each patch.
        count: patches wanted; fewer are chosen where the others are all alike.
        known: features ``(M, D)`` of patches that are labelled already: none like them is chosen.
        value: ``(N,)`` what the label of each would teach; ``None``: the same.
        alike: cosine of standardised features above which two patches show the same; 1: none do.
        seed: seed of the clusters.

    Raises:
        ValueError: there is nothing to choose from.
    """
    if not len(features) or count < 1:
        raise ValueError(f"found {len(features)} patches to choose {count} from, expected one at least")
    both = standardised(features if known is None else np.concatenate([features, known]))
    own, before = both[: len(features)], both[len(features) :]
    free = _unlike(own, before, alike)
    taken: list[int] = []
    uses: Counter[str] = Counter()
    dropped = int((~free).sum())
    while len(taken) < count and free.any():
        left = np.flatnonzero(free)
        if value is not None:
            left = left[np.argsort(-np.asarray(value)[left], kind="stable")[: _VALUABLE * (count - len(taken))]]
        cluster, distance = _clusters(own[left], min(count - len(taken), len(left), _MOST), seed)
        rank = distance if value is None else -np.asarray(value)[left]
        waiting = [left[part[np.argsort(rank[part], kind="stable")]] for part in _by_size(cluster)]
        while len(taken) < count and waiting:
            waiting = [rest for part in waiting if len(rest := part[free[part]])]
            for members in waiting:
                members = members[free[members]]  # one of another cluster may have been like these
                if len(taken) == count or not len(members):
                    continue
                best = members[: max(1, round(len(members) * _NEAR))]
                pick = int(min(best, key=lambda k: uses[groups[k]]))
                taken.append(pick)
                uses[groups[pick]] += 1
                same = free & (own @ own[pick] > alike)
                same[pick] = False
                dropped += int(same.sum())
                free &= ~same
                free[pick] = False
    return _in_turn(own, taken, dropped, seed)


def _unlike(own: np.ndarray, before: np.ndarray, alike: float) -> np.ndarray:
    """``(N,)`` bool: patches that are like none of those before."""
    free = np.ones(len(own), bool)
    for start in range(0, len(own), 1024):  # products of all at once may not fit
        part = slice(start, start + 1024)
        if len(before):
            free[part] = (own[part] @ before.T).max(axis=1) <= alike
    return free


def _clusters(features: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each patch, and its distance from the centre."""
    rng = np.random.default_rng(seed)
    sample = features if len(features) <= _SAMPLE else features[rng.choice(len(features), _SAMPLE, replace=False)]
    found = KMeans(count, random_state=seed, n_init=1, max_iter=30).fit(sample)
    cluster = found.predict(features)
    return cluster, np.linalg.norm(features - found.cluster_centers_[cluster], axis=1)


def _by_size(cluster: np.ndarray) -> list[np.ndarray]:
    """Members of each cluster, the largest cluster first."""
    members = [np.flatnonzero(cluster == k) for k in np.unique(cluster)]
    return sorted(members, key=len, reverse=True)


def _in_turn(own: np.ndarray, taken: list[int], dropped: int, seed: int) -> Chosen:
    """The chosen ones, one of each look, then a second one of each."""
    count = min(_LOOKS, max(1, len(taken) // 9))
    look = _clusters(own[taken], count, seed)[0] if len(taken) > 1 else np.zeros(len(taken), int)
    turns: Counter[int] = Counter()
    placed = []
    for order, (number, k) in enumerate(zip(taken, look.tolist(), strict=True)):
        placed.append((turns[k], order, number, k))
        turns[k] += 1
    placed.sort()
    return Chosen([number for *_, number, _ in placed], [k for *_, k in placed], dropped)
