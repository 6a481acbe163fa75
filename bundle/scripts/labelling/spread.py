"""Which patches to label: of all looks, of all slides, none like another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from ..core.progress import track
from .looks import standardised

__all__ = ["ALIKE", "Chosen", "choose_spread"]

#: Cosine of standardised features above which patches show the same tissue: copies, and windows less than a quarter apart.
ALIKE = 0.75
_NEAR = 0.5  # share of a cluster, nearest to its centre, in which the slide that was chosen least may win
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
    alike: float = ALIKE,
    seed: int = 0,
    progress: bool = True,
) -> Chosen:
    """Choose patches: as many clusters of looks as patches are wanted, one of each.

    Of a cluster it is one near its centre, among these one of the group that has been chosen least.

    Args:
        features: ``(N, D)``, see :class:`~.looks.Looks`.
        groups: slide or case of each patch.
        count: patches wanted; fewer are chosen where the others are all alike.
        known: features ``(M, D)`` of patches that are labelled already: none like them is chosen.
        alike: cosine of standardised features above which two patches show the same; 1: none do.
        seed: seed of the clusters.
        progress: whether to show a progress bar.

    Raises:
        ValueError: there is nothing to choose from.
    """
    if not len(features) or count < 1:
        raise ValueError(f"found {len(features)} patches to choose {count} from, expected one at least")
    both = standardised(features if known is None else np.concatenate([features, known]))
    own, before = both[: len(features)], both[len(features) :]
    free = _unlike(own, before, alike)
    picks = _picks(own, free, groups, min(count, len(own)), alike, seed)
    taken = list(track(picks, "choice", min(count, len(own)), progress))
    return _in_turn(own, taken, int((~free).sum()) - len(taken), seed)


def _picks(own: np.ndarray, free: np.ndarray, groups: Sequence[str], count: int, alike: float, seed: int) -> Iterator[int]:
    """Numbers of the patches, one by one. In ``free`` those are marked, and in the end those that are like one of them."""
    uses: Counter[str] = Counter()
    picked = np.empty((count, own.shape[1]), own.dtype)
    done = 0
    while done < count and free.any():
        begin, left = done, np.flatnonzero(free)
        cluster, distance = _clusters(own[left], min(count - done, len(left), _MOST), seed)
        waiting = [left[part[np.argsort(distance[part], kind="stable")]] for part in _by_size(cluster)]
        compared = [done] * len(waiting)  # picks that the members of each have been compared with: when its turn comes
        while done < count and any(map(len, waiting)):
            for turn, members in enumerate(waiting):
                if done == count or not len(members):
                    continue
                members = members[_unlike(own[members], picked[compared[turn] : done], alike)]
                compared[turn] = done
                if len(members):
                    best = members[: max(1, round(len(members) * _NEAR))]
                    pick = int(min(best, key=lambda k: uses[groups[k]]))
                    uses[groups[pick]] += 1
                    picked[done] = own[pick]
                    done += 1
                    free[pick] = False
                    yield pick
                    members = members[members != pick]
                waiting[turn] = members
        rest = np.flatnonzero(free)
        free[rest] = _unlike(own[rest], picked[begin:done], alike)


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
