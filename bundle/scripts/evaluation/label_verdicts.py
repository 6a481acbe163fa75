"""What figures from labels alone mean, in words: all sentences on a run, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..pages import Verdict
from . import label_rules as rules

__all__ = ["spoken", "verdicts"]

_WORDS = {"good": "good", "watch": "look", "bad": "bad", "note": "note"}


def verdicts(figures: Mapping[str, Any]) -> list[Verdict]:
    """All sentences on a run, the bad ones first, then what is to be looked at, what is good, and notes.

    Args:
        figures: as :func:`~.label_run.report_labels` has gathered them.
    """
    order = ("bad", "watch", "good", "note")
    found = [verdict for verdict in _all(figures) if verdict is not None]
    return [*sorted(found, key=lambda verdict: order.index(verdict.kind)), rules.without_truth(figures["truth"])]


def spoken(found: Sequence[Verdict | Mapping[str, str]]) -> str:
    """Verdicts for a terminal, a line for each."""
    pairs = [(v.kind, v.text) if isinstance(v, Verdict) else (v["kind"], v["text"]) for v in found]
    return "\n".join(f"{_WORDS[kind]:<5} {text}" for kind, text in pairs)


def _all(figures: Mapping[str, Any]) -> Iterator[Verdict | None]:
    labels, classifier, segmenter, depths = (figures[k] for k in ("labels", "classifier", "segmenter", "depths"))
    apart = figures["apart"]
    where = "held-out patches" if apart else "patches"
    yield rules.nothing_held_out(apart)
    yield rules.held_out_differ(figures["trainings"])
    for name, own in labels["classes"].items():
        yield rules.few_patches(name, own["patches"])
        yield rules.one_group(name, own["patches"], own["groups"], labels["groups"])
        yield rules.always_named(name, own["patches"], labels["patches"])
    yield from _pairs(labels, rules.together)
    for name, own in classifier["classes"].items():
        yield rules.few_held_out(name, own["positives"], classifier["patches"], apart)
        yield rules.near_chance(name, own["ap"], own["positives"], classifier["patches"], where)
        gate = next(row for row in own["thresholds"] if row["threshold"] == own["gate_threshold"])
        yield rules.gated_away(name, gate["threshold"], gate["tp"], gate["fn"], where)
    if apart:
        yield rules.all_found(classifier["classes"], where)
    if depths:
        yield rules.depths_agree(depths["tissue"], depths["patches"])
        yield rules.classes_disputed(depths["classes"])
    for name, own in segmenter["classes"].items():
        yield rules.unnamed_tissue(name, own["unnamed_filled"], own["unnamed"], segmenter["threshold"], where)
        yield rules.tissue_not_shown(name, own["named_filled"], own["named"], segmenter["threshold"], where)
    yield rules.check_warnings(figures["dataset_check"])


def _pairs(labels: Mapping[str, Any], rule: Callable[..., Verdict | None]) -> Iterator[Verdict | None]:
    """Pairs of classes that not every patch names, for which there is a rule of its own."""
    names, both = list(labels["classes"]), labels["together"]
    some = [k for k, name in enumerate(names) if labels["classes"][name]["patches"] < labels["patches"]]
    for number, a in enumerate(some):
        for b in some[number + 1 :]:
            yield rule(names[a], names[b], both[a][a], both[b][b], both[a][b])
