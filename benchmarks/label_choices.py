"""By what to choose the patches that are to be labelled: at random, of all looks, or what a model is in doubt about.

    python benchmarks/label_choices.py --dataset glas --source GLAS --work WORK

A probe, ridge regression on features of a backbone that has seen no label, stands for the networks: a curve of it takes
seconds, so that choices can be told apart that differ by less than networks do from seed to seed. Each draw holds out a
third of the groups; rounds are those of label_curve.py, whose patches these are. A draw's choices are compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from harness import print_table, record
from label_curve import SHARES, Study
from scripts.labelling.spread import choose_spread
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score

__all__ = ["CHOICES", "curve"]

_HELD = 1 / 3  # share of the groups
_VALUABLE = 3  # times the patches wanted: of so many that are in doubt most, all looks
_ROUNDS = [share for share in SHARES if share < 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="name of a dataset config: glas, wsss4luad, ...")
    parser.add_argument("--source", required=True, help="its raw data")
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs of label_curve.py")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--prepare", default="{stride: 112}", help="as of label_curve.py")
    parser.add_argument("--out", type=Path, help="JSON (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    out = options.out or Path(__file__).parent / "results" / f"label_choices_{options.dataset}.json"
    study = Study(options, 0)
    labels = np.array([entry["label"] for entry in study.entries])
    groups = np.array([str(entry["group"]) for entry in study.entries])
    own = (study.features - study.features.mean(axis=0)) / (study.features.std(axis=0) + 1e-6)
    scores: dict[str, list[list[float]]] = {name: [] for name in CHOICES}
    for draw in range(options.draws):
        names = np.random.default_rng(draw).permutation(np.unique(groups))
        held = np.isin(groups, names[: max(1, round(_HELD * len(names)))])
        for name in CHOICES:
            scores[name].append(curve(CHOICES[name], own, labels, groups, held, draw))
        print(f"draw {draw + 1}/{options.draws}", file=sys.stderr, flush=True)
    table = [_row(name, np.array(part), np.array(scores["random"])) for name, part in scores.items()]
    print_table(["choice", *(f"{share:.0%}" for share in _ROUNDS)], [[r["choice"], *r["against_random"]] for r in table])
    settings = {"dataset": options.dataset, "draws": options.draws, "prepare": options.prepare, "shares": _ROUNDS}
    record(out, "label_choices", settings, {"table": table}, torch.device("cpu"))
    return 0


def curve(
    choose: Callable[..., list[int]],
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    held: np.ndarray,
    seed: int,
) -> list[float]:
    """Mean average precision on what is held out, in [0, 1], after each round of labels; the first is of all looks, but
    at random where all are.

    Args:
        choose: one of :data:`CHOICES`.
        features: ``(N, D)``, standardised.
        labels: ``(N, C)`` of 0 and 1.
        groups: ``(N,)`` names.
        held: ``(N,)`` bool: what is held out.
        seed: of the choices.
    """
    pool, taken, found = np.flatnonzero(~held), np.zeros(0, int), []
    truth = labels[held]
    told = [c for c in range(labels.shape[1]) if 0 < truth[:, c].sum() < len(truth)]
    for share in _ROUNDS:
        left, count = np.setdiff1d(pool, taken), max(2, round(share * len(pool))) - len(taken)
        doubt = _doubt(features, labels, taken, left)
        taken = np.concatenate([taken, left[choose(features[left], groups[left], count, doubt, seed)]])
        predicted = _predicted(features, labels, taken, held)
        found.append(float(np.mean([average_precision_score(truth[:, c], predicted[:, c]) for c in told])))
    return found


def _predicted(features: np.ndarray, labels: np.ndarray, taken: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return Ridge(100.0).fit(features[taken], labels[taken]).predict(features[asked]).reshape(-1, labels.shape[1])


def _doubt(features: np.ndarray, labels: np.ndarray, taken: np.ndarray, left: np.ndarray) -> np.ndarray | None:
    """``(N,)``, larger where answers are nearer to one half; ``None`` where nothing is labelled."""
    if not len(taken):
        return None
    return -np.abs(np.clip(_predicted(features, labels, taken, left), 0, 1) - 0.5).mean(axis=1)


def _at_random(features: np.ndarray, groups: np.ndarray, count: int, doubt: np.ndarray | None, seed: int) -> list[int]:
    return np.random.default_rng(seed + len(features)).permutation(len(features))[:count].tolist()


def _of_all_looks(features: np.ndarray, groups: np.ndarray, count: int, doubt: np.ndarray | None, seed: int) -> list[int]:
    return choose_spread(features, groups.tolist(), count, alike=1.0, seed=seed, progress=False).numbers


def _in_doubt(features: np.ndarray, groups: np.ndarray, count: int, doubt: np.ndarray | None, seed: int) -> list[int]:
    order = np.arange(len(features)) if doubt is None else np.argsort(-doubt, kind="stable")[: _VALUABLE * count]
    return order[_of_all_looks(features[order], groups[order], count, None, seed)].tolist()


def _half(features: np.ndarray, groups: np.ndarray, count: int, doubt: np.ndarray | None, seed: int) -> list[int]:
    first = _in_doubt(features, groups, count // 2, doubt, seed)
    rest = np.setdiff1d(np.arange(len(features)), first)
    return [*first, *rest[_of_all_looks(features[rest], groups[rest], count - len(first), None, seed)].tolist()]


CHOICES = {"random": _at_random, "all looks": _of_all_looks, "in doubt": _in_doubt, "half of each": _half}


def _row(name: str, scores: np.ndarray, random: np.ndarray) -> dict[str, object]:
    """Means over draws in percent, and what they gain over patches at random, with the standard error of that."""
    gain = 100 * (scores - random)
    error = gain.std(axis=0, ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.zeros(gain.shape[1])
    means = [round(float(m), 2) for m in 100 * scores.mean(axis=0)]
    gains = [f"{g:+.1f} ± {e:.1f}" for g, e in zip(gain.mean(axis=0), error, strict=True)]
    against = [f"{m:.1f}" for m in means] if name == "random" else gains
    return {"choice": name, "mean_ap": means, "against_random": against}


if __name__ == "__main__":
    sys.exit(main())
