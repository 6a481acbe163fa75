"""How far people agree on the labels of patches, and with themselves."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from ..core.atomic import write_text
from ..core.paths import shown
from .answers import Answers, read_answers

__all__ = ["Agreement", "agreement_of", "agreement_of_tables", "self_agreement"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """Two sets of labels of the same patches.

    Args:
        who: names of the two.
        classes: names of the classes.
        patches: how many both have labelled.
        kappa: Cohen's kappa of each class; NaN where both gave every patch the same answer, all or none.
        equal: share of equal answers of each class.
        named: patches that either named the class in.
        disputed: image and the two labels of each patch that they differ in, most classes first.
    """

    who: tuple[str, str]
    classes: tuple[str, ...]
    patches: int
    kappa: np.ndarray
    equal: np.ndarray
    named: np.ndarray
    disputed: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def rows(self) -> list[list[Any]]:
        """Class, patches that either named it in, share of equal answers, kappa."""
        return [
            [name, int(named), f"{equal:.1%}", "–" if np.isnan(kappa) else f"{kappa:.2f}"]
            for name, named, equal, kappa in zip(self.classes, self.named, self.equal, self.kappa, strict=True)
        ]


def agreement_of(
    one: dict[str, tuple[int, ...]], other: dict[str, tuple[int, ...]], classes: Sequence[str], who: tuple[str, str]
) -> Agreement:
    """Compare labels by image; images that only one has are left out.

    Raises:
        ValueError: no image has both.
    """
    both = [image for image in one if image in other]
    if not both:
        raise ValueError(f"{who[0]} and {who[1]}: no patch has labels of both")
    a, b = (np.array([labels[image] for image in both]) for labels in (one, other))
    with np.errstate(all="ignore"):
        kappa = [
            np.nan if len({*x, *y}) < 2 else cohen_kappa_score(x, y) for x, y in zip(a.T.tolist(), b.T.tolist(), strict=True)
        ]
    order = np.argsort(-(a != b).sum(axis=1), kind="stable")
    disputed = [(both[k], one[both[k]], other[both[k]]) for k in order if (a[k] != b[k]).any()]
    return Agreement(who, tuple(classes), len(both), np.array(kappa), (a == b).mean(axis=0), (a | b).sum(axis=0), disputed)


def self_agreement(answers: Answers) -> Agreement | None:
    """Of first and second looks at the same patches; ``None`` where nobody looked twice."""
    twice = [a for a in answers.rows if a.label is not None and a.again]
    if not twice:
        return None
    first, second = {a.image: a.label for a in twice}, {a.image: a.again for a in twice}
    return agreement_of(first, second, answers.classes, (f"{_who(answers)}, first look", "second look"))


def agreement_of_tables(tables: Sequence[str | Path] | None, output: str | Path | None = None) -> list[Agreement]:
    """Print how far tables of answers agree, each with itself and every two with each other.

    Args:
        tables: tables that label pages gave for the same patches.
        output: CSV of the patches to talk about.

    Raises:
        FileNotFoundError: no such table.
        ValueError: malformed tables, of other classes, or without a common patch.
    """
    if isinstance(tables, (str, Path)) or not tables:
        raise ValueError("tables: expected a list of tables of answers: --tables \"['anna.csv', 'ben.csv']\"")
    classes: tuple[str, ...] = ()
    read: list[Answers] = []
    for path in tables:
        read.append(read_answers(path, classes))
        classes = read[0].classes
    found = [own for own in map(self_agreement, read) if own is not None]
    for one, other in combinations(read, 2):
        labels = [{a.image: a.label for a in t.rows if a.label is not None} for t in (one, other)]
        names = _who(one), _who(other)
        names = names if names[0] != names[1] else (shown(one.path), shown(other.path))
        found.append(agreement_of(labels[0], labels[1], classes, names))
    if not found:
        raise ValueError(f"{shown(read[0].path)}: nobody looked twice at a patch; give a second table to compare with")
    for agreement in found:
        _print(agreement)
    if output is not None:
        write_text(output, _disputed(found))
        logger.info("%s: the patches to talk about", shown(output))
    return found


def _who(answers: Answers) -> str:
    names = {a.annotator for a in answers.rows if a.annotator}
    return " and ".join(sorted(names)) if names else answers.path.name


def _print(agreement: Agreement) -> None:
    print(
        f"{agreement.who[0]} and {agreement.who[1]}: {agreement.patches} patches, {len(agreement.disputed)} of which differ"
    )
    rows = [["class", "named", "equal", "kappa"], *agreement.rows()]
    widths = [max(len(str(row[k])) for row in rows) for k in range(4)]
    for row in rows:
        print(
            "  ".join(
                str(c).ljust(w) if k == 0 else str(c).rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    for image, one, other in agreement.disputed[:10]:
        print(f"  {image}: {_named(agreement, one)} | {_named(agreement, other)}")
    if len(agreement.disputed) > 10:
        print(f"  and {len(agreement.disputed) - 10} others")


def _named(agreement: Agreement, label: Sequence[int]) -> str:
    return ", ".join(name for name, value in zip(agreement.classes, label, strict=True) if value) or "none of these"


def _disputed(found: Sequence[Agreement]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "who", "says", "other", "says otherwise"])
    for agreement in found:
        for image, one, other in agreement.disputed:
            table.writerow([image, agreement.who[0], _named(agreement, one), agreement.who[1], _named(agreement, other)])
    return text.getvalue()
