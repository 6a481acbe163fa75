"""The page beside a round that was suggested: what labels have brought, what more of them promise, what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..core.environment import environment
from ..core.facts import DatasetFacts
from ..core.images import read_image
from ..pages import Case, Page, Verdict, copyable, gallery, line_chart, percent, table, write_page
from .learning_curve import LearningCurve

__all__ = ["promises", "write_suggestion_page"]

_MORE = 100  # labels that the page speaks of
_ENOUGH = 0.005  # mean AP that so many labels must promise to be worth it
_LEAST, _SLIDES = 50, 5  # labels and slides below which nothing is promised
_FEW = 10  # patches of a class below which it is scarce
_SHOWN = 24


class SoFar(Protocol):
    """What is labelled: labels ``(N, C)``, the group of each, and their curve."""

    labels: np.ndarray
    groups: Sequence[str]
    curve: LearningCurve | None


def promises(labelled: SoFar, facts: DatasetFacts) -> list[Verdict]:
    """What the figures mean, in sentences."""
    found = []
    counts = labelled.labels.sum(axis=0) if len(labelled.labels) else np.zeros(facts.num_classes, int)
    scarce = [f"{name} ({n})" for name, n in zip(facts.classes, counts, strict=True) if n < _FEW]
    if len(labelled.labels) and scarce:
        found.append(
            Verdict("watch", f"Few labelled patches show {', '.join(scarce)}: look for slides that have more of it.")
        )
    curve = labelled.curve
    if curve is None:
        why = "there are fewer than 16 labels, or all are of one slide" if len(labelled.labels) else "no dataset was given"
        found.append(Verdict("note", f"What more labels promise cannot be told: {why}."))
        return found
    gain, noise, slides = curve.promise(_MORE), float(curve.deviation[-1]), len(set(labelled.groups))
    if curve.total < _LEAST or slides < _SLIDES or curve.mean[-1] < curve.mean[0]:
        found.append(
            Verdict(
                "note",
                f"What more labels promise cannot be told yet: of {curve.total} labels of {slides} slides the curve is too "
                f"uneven ({_LEAST} of {_SLIDES} slides are the least). Go on labelling.",
            )
        )
        return found
    text = f"The next {_MORE} labels promise {100 * gain:.1f} points of mean average precision on slides that are new"
    if gain < _ENOUGH and not scarce:
        found.append(
            Verdict("good", f"{text}: more labels of this tissue will hardly help. Label other slides, or train longer.")
        )
    else:
        found.append(Verdict("watch", f"{text}, which is about {percent(curve.at(curve.total))} % now: go on labelling."))
    if noise > max(gain, 0.02):
        found.append(
            Verdict(
                "note", f"It varies by {100 * noise:.1f} points with the slides that are held out: more slides make it sure."
            )
        )
    return found


def write_suggestion_page(
    folder: Path,
    facts: DatasetFacts,
    labelled: SoFar,
    suggestions: Sequence[Mapping[str, Any]],
    probability: np.ndarray,
    commands: Sequence[str],
    seed: int = 0,
) -> Path:
    """Write ``suggest.html``.

    Args:
        folder: the round.
        facts: of the model.
        labelled: what it was trained on.
        suggestions: ``name``, ``group`` and ``opinion`` (C probabilities) of each patch that was chosen.
        probability: ``(N, C)`` of all patches that were looked at.
        commands: see :func:`~.next_commands.next_commands`.
        seed: of the choices.
    """
    groups = {s["group"] for s in suggestions}
    doubt = [float(_entropy(p).mean()) for p in (np.array([s["opinion"] for s in suggestions]), probability)]
    details = {
        "Labelled so far": f"{len(labelled.labels)} patches of {len(set(labelled.groups))} slides or cases",
        "Looked at": f"{len(probability)} unlabelled patches",
        "Suggested": f"{len(suggestions)} patches of {len(groups)} slides or cases",
        "Doubt of the model": f"{doubt[0]:.2f} bits per answer in these, {doubt[1]:.2f} in all",
    }
    page = Page(
        title="What to label next",
        facts=facts,
        details=details,
        verdicts=promises(labelled, facts),
        sections=[
            ("What labels have brought", _curve(labelled.curve, facts)),
            ("By class", _classes(facts, labelled, suggestions, probability)),
            ("Suggested patches, those first that the model is in doubt about", _gallery(folder, facts, suggestions)),
            ("Next", _next(*commands)),
        ],
        environment={**environment(), "seed": seed},
    )
    return write_page(folder / "suggest.html", page)


def _entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy in bits of yes-or-no answers, in [0, 1], of their probabilities; of the same shape."""
    p = np.clip(np.asarray(probability, np.float64), 1e-9, 1 - 1e-9)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def _curve(curve: LearningCurve | None, facts: DatasetFacts) -> str:
    if curve is None:
        return ""
    ahead = np.geomspace(curve.labels[0], curve.total + 2 * _MORE, 40)
    lines = {
        "on held-out slides": [(n, 100 * y) for n, y in zip(curve.labels, curve.mean.tolist(), strict=True)],
        "fitted, and what is promised": [(n, 100 * curve.at(n)) for n in ahead.round().tolist()],
    }
    classes = {
        name: [(n, 100 * y) for n, y in zip(curve.labels, part.tolist(), strict=True)]
        for name, part in zip(facts.classes, curve.by_class.T, strict=True)
    }
    charts = line_chart("mean average precision, %", lines, "labelled patches")
    charts += line_chart("average precision by class, %", classes, "labelled patches")
    rows = [
        [str(n), percent(y), percent(d)]
        for n, y, d in zip(curve.labels, curve.mean.tolist(), curve.deviation.tolist(), strict=True)
    ]
    hint = (
        "Of a probe: ridge regression on features of a backbone that has seen no label, trained on so many labels, scored "
        "on slides that were held out, 24 draws. The networks do better; how much of what can be learnt is learnt, it "
        "tells."
    )
    return f'<div class="charts">{charts}</div><p class="hint">{hint}</p>' + table(
        "mean average precision by labels", ["labels", "mean AP, %", "± over draws"], rows
    )


def _classes(facts: DatasetFacts, labelled: SoFar, suggestions: Sequence[Mapping[str, Any]], probability: np.ndarray) -> str:
    counts = labelled.labels.sum(axis=0) if len(labelled.labels) else np.zeros(facts.num_classes, int)
    expected = np.sum([s["opinion"] for s in suggestions], axis=0)
    by_class = labelled.curve.by_class[-1] if labelled.curve is not None else np.full(facts.num_classes, np.nan)
    rows = [
        [
            name, str(int(counts[c])), "–" if np.isnan(by_class[c]) else percent(float(by_class[c])),
            percent(float(probability[:, c].mean())), f"{expected[c]:.0f}",
        ]
        for c, name in enumerate(facts.classes)
    ]  # fmt: skip
    header = [
        "class",
        "labelled patches that show it",
        "AP of the probe, %",
        "share of the unlabelled, as the model sees it, %",
        "expected among the suggested",
    ]
    return table("by class", header, rows, sortable=True)


def _gallery(folder: Path, facts: DatasetFacts, suggestions: Sequence[Mapping[str, Any]]) -> str:
    cases = []
    for s in sorted(suggestions, key=lambda s: -_entropy(s["opinion"]).mean())[:_SHOWN]:
        seen = ", ".join(f"{name} {p:.0%}" for name, p in zip(facts.classes, s["opinion"], strict=True))
        cases.append(Case(s["name"], None, [("patch", read_image(folder / "patches" / f"{s['name']}.png"))], seen))
    return f'<div class="tiles">{gallery(cases)}</div>'


def _next(train: str, suggest: str) -> str:
    hints = (
        'Label them on <a href="label.html">the page beside this one</a>, and save labels.csv beside it. This trains on all '
        "rounds; add the dataset file, recipe and settings that the training before had, if it had some.",
        "And this suggests what to label after that.",
    )
    return "".join(f'<p class="hint">{hint}</p>{copyable(text)}' for hint, text in zip(hints, (train, suggest), strict=True))
