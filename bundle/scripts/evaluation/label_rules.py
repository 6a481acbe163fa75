"""Rules by which figures from labels alone become sentences: a small function for each.

Every rule takes figures and gives its sentence, or ``None`` where there is nothing to say. ``where`` names the patches that
a figure is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..pages import Verdict

__all__ = [
    "CLASS_DISPUTED",
    "CLEARLY_BETTER",
    "DEPTHS_AGREE",
    "DEPTHS_DISAGREE",
    "FEW_HELD_OUT",
    "FEW_PATCHES",
    "GATED_AWAY",
    "HARDLY_BETTER",
    "LEAST_PATCHES",
    "NOT_SHOWN",
    "UNNAMED",
    "VERY_FEW_PATCHES",
    "all_found",
    "always_named",
    "check_warnings",
    "classes_disputed",
    "depths_agree",
    "few_held_out",
    "few_patches",
    "gated_away",
    "held_out_differ",
    "near_chance",
    "nothing_held_out",
    "one_group",
    "tissue_not_shown",
    "together",
    "unnamed_tissue",
    "without_truth",
]

#: With fewer patches of a class, a tenth that is held out has not two of them, and an epoch shows the networks few.
FEW_PATCHES = 20
#: With fewer, there is nothing to learn from but these very patches.
VERY_FEW_PATCHES = 5
#: Held-out patches of a class below which its average precision moves by a fifth or more with a single patch.
FEW_HELD_OUT = 5
#: Share of the way from chance (the prevalence) to perfect that average precision must go. Random order goes 0.14 of it on
#: average where 5 of 20 patches name a class, 0.04 where 20 of 100 do.
HARDLY_BETTER = 0.2
#: From here on a classifier is called good: what it misses is less than what it finds.
CLEARLY_BETTER = 0.6
#: Share of the patches of a class from which the gate may take it before that is said. Of the patches that a classifier
#: gives a probability of 0.1, a tenth name the class if its probabilities are right.
GATED_AWAY = 0.1
#: Agreement of the depths on tissue: above, outlines rest on what all depths see; below, on which depth is believed.
DEPTHS_AGREE, DEPTHS_DISAGREE = 0.8, 0.6
#: Agreement on a class below which most pixels of it are in dispute.
CLASS_DISPUTED = 0.5
#: Share of the patches that do not name a class, of which the segmenter fills more than a label asks for: in a tenth, labels
#: may have missed a corner.
UNNAMED = 0.1
#: Share of the patches that name a class, in which the segmenter does not show it.
NOT_SHOWN = 0.25
#: Fewer patches than this make no share.
LEAST_PATCHES = 3


def few_patches(name: str, patches: int) -> Verdict | None:
    """A class that few patches name."""
    if patches >= FEW_PATCHES:
        return None
    return Verdict(
        "bad" if patches < VERY_FEW_PATCHES else "watch", f"{name} rests on {_patches(patches)}; label more of it"
    )


def one_group(name: str, patches: int, groups: int | None, all_groups: int | None) -> Verdict | None:
    """A class that one slide of several shows."""
    if groups != 1 or not all_groups or all_groups < 2 or patches < 2:
        return None
    return Verdict("watch", f"all {patches} patches that name {name} are of one group (slide, region); label it in others")


def always_named(name: str, patches: int, total: int) -> Verdict | None:
    """A class that nothing lacks."""
    if patches < total or not total:
        return None
    return Verdict("bad", f"every training patch names {name}: nothing shows what lacks it; add patches without it")


def together(one: str, other: str, first: int, second: int, both: int) -> Verdict | None:
    """Two classes of which one is never named without the other."""
    if not first or not second or both < min(first, second):
        return None
    if first == second:
        return Verdict("bad", f"{one} and {other} are always named together: nothing tells them apart; add patches of one")
    rare, common = (one, other) if first < second else (other, one)
    return Verdict("watch", f"{rare} is never named without {common}: little tells them apart; add patches of it alone")


def nothing_held_out(apart: bool) -> Verdict | None:
    """Figures of patches that train."""
    if apart:
        return None
    return Verdict(
        "bad",
        "nothing is held out: all figures are of patches that train, and say nothing of others; "
        "give patches of two or more groups (slides, regions) and holdout above 0, or a validation section",
    )


def held_out_differ(trained: Mapping[str, Mapping[str, Any]]) -> Verdict | None:
    """Trainings that held out other patches."""
    found = [{k: settings[k] for k in ("holdout", "seed")} for settings in trained.values()]
    if all(settings == found[0] for settings in found):
        return None
    return Verdict("watch", "the two trainings have held out different patches: the segmenter may know some of these")


def few_held_out(name: str, positives: int, patches: int, apart: bool) -> Verdict | None:
    """A class that few held-out patches name, or all of them."""
    if apart and positives == patches:
        return Verdict("watch", f"every held-out patch names {name}: nothing tells whether it is found where it is not")
    if not apart or positives >= FEW_HELD_OUT:
        return None
    if not positives:
        return Verdict("watch", f"no held-out patch names {name}: nothing tells how well it is found")
    return Verdict("note", f"{_patches(positives, 'held-out ')} name{'s' * (positives == 1)} {name}: its figures say little")


def near_chance(name: str, ap: float | None, positives: int, patches: int, where: str) -> Verdict | None:
    """A class that the classifier hardly finds."""
    prevalence = positives / max(1, patches)
    lift, few = _lift(ap, prevalence), positives < FEW_HELD_OUT
    if lift is None or lift >= (HARDLY_BETTER if few else CLEARLY_BETTER):
        return None
    figures = f"(AP {ap:.2f} at a prevalence of {prevalence:.2g})"
    if lift < HARDLY_BETTER:
        return Verdict(
            "watch" if few else "bad", f"the classifier finds {name} in {where} hardly better than by chance {figures}"
        )
    return Verdict("watch", f"the classifier often misses {name} in {where}, or takes other tissue for it {figures}")


def all_found(classes: Mapping[str, Mapping[str, Any]], where: str) -> Verdict | None:
    """A classifier that finds every class that can be judged."""
    lifts = {name: _lift(c["ap"], c["prevalence"]) for name, c in classes.items() if c["positives"] >= FEW_HELD_OUT}
    known = {name: lift for name, lift in lifts.items() if lift is not None}
    if len(known) < len(classes) or not known or min(known.values()) < CLEARLY_BETTER:
        return None
    worst = min(classes, key=lambda name: classes[name]["ap"])
    return Verdict(
        "good", f"the classifier finds every tissue in {where} (lowest AP {classes[worst]['ap']:.2f}, of {worst})"
    )


def gated_away(name: str, threshold: float, found: int, missed: int, where: str) -> Verdict | None:
    """A class that the gate takes from patches that name it."""
    named = found + missed
    if named < LEAST_PATCHES or missed <= GATED_AWAY * named:
        return None
    return Verdict("watch", f"the gate ({threshold:g}) takes {name} from {missed} of {named} {where} that name it")


def depths_agree(share: float | None, patches: int) -> Verdict | None:
    """How much of the tissue all depths see alike."""
    if share is None:
        return None
    kind = "good" if share >= DEPTHS_AGREE else "watch" if share < DEPTHS_DISAGREE else "note"
    return Verdict(
        kind, f"the depths agree on {100 * share:.0f} % of tissue, in {_patches(patches)} whose label names several"
    )


def classes_disputed(shares: Mapping[str, float | None]) -> Verdict | None:
    """Classes whose outlines the depths do not agree on."""
    found = [
        f"{name} ({100 * share:.0f} %)" for name, share in shares.items() if share is not None and share < CLASS_DISPUTED
    ]
    if not found:
        return None
    half = f"{100 * CLASS_DISPUTED:.0f} %"
    return Verdict(
        "watch", f"the depths agree on less than {half} of what any of them takes for {', '.join(found)}; look at it"
    )


def unnamed_tissue(name: str, filled: int, unnamed: int, threshold: float, where: str) -> Verdict | None:
    """A class that the segmenter shows where nobody named it."""
    if filled < LEAST_PATCHES or filled <= UNNAMED * unnamed:
        return None
    return Verdict(
        "watch",
        f"the segmenter fills more than {100 * threshold:g} % with {name} in {filled} of {unnamed} {where} that do not name "
        "it: the labels have missed it, or the segmenter is wrong",
    )


def tissue_not_shown(name: str, filled: int, named: int, threshold: float, where: str) -> Verdict | None:
    """A class that the segmenter does not show where it is named."""
    missing = named - filled
    if named < LEAST_PATCHES or missing <= NOT_SHOWN * named:
        return None
    return Verdict(
        "watch", f"the segmenter shows {name} on {100 * threshold:g} % or less of {missing} of {named} {where} that name it"
    )


def check_warnings(faults: Sequence[Mapping[str, str]] | None) -> Verdict | None:
    """What the check of the dataset has found, but that sections are empty: that there is no test is why this is read."""
    count = sum(fault["kind"] != "empty section" for fault in faults or ())
    if not count:
        return None
    return Verdict("watch", f"the check of the dataset has {count} warning{'s' * (count > 1)} (dataset_check.txt)")


def without_truth(truth: bool) -> Verdict:
    """What no figure here can say."""
    if truth:
        return Verdict("note", "true masks stand behind the segmenter's validation scores, and behind no other figure here")
    return Verdict("note", "no true mask stands behind these figures: they do not say how exact the outlines are")


def _lift(ap: float | None, prevalence: float) -> float | None:
    """Share of the way from chance to perfect; ``None`` where nothing can be found, or nothing mistaken."""
    return None if ap is None or prevalence >= 1 else (ap - prevalence) / (1 - prevalence)


def _patches(count: int, kind: str = "") -> str:
    return f"{count} {kind}patch{'es' * (count != 1)}"
