"""What scores mean, in words: where a method loses to less than itself, where it is weak, and on how much that rests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..pages import Verdict

__all__ = ["score_verdicts"]

#: Points of mIoU (in [0, 1]) that count as a difference: less changes from seed to seed.
NOTICEABLE = 0.005
#: IoU of a class below which less than half of what is called by its name, or should be, is right.
WEAK = 0.5
#: Width of a 95 % interval of mIoU above which the test images are too few to tell methods apart.
WIDE = 0.1
#: Share of the errors near borders above which outlines, which people draw differently too, are what is wrong.
MOSTLY = 0.5


def score_verdicts(results: Mapping[str, Any]) -> list[Verdict]:
    """Sentences on the scores of a run, the gravest first.

    Args:
        results: of :meth:`~.evaluate.Evaluation.results`.
    """
    scores, method = results["scores"], results["method"]
    if scores[method]["miou"] is None:
        return [Verdict("bad", "No test image has a pixel of any class in its true mask: nothing is scored.")]
    rules = (_against_majority, _against_maps, _gate, _weak_classes, _absent_classes, _interval, _borders)
    found = [verdict for rule in rules for verdict in rule(results, scores[method])]
    order = ("bad", "watch", "good", "note")
    return sorted(found, key=lambda verdict: order.index(verdict.kind))


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _against_majority(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    name = next(n for n in results["scores"] if n.startswith("majority class"))
    guess, name = results["scores"][name], name.partition("(")[2].rstrip(")")
    if record["miou"] > guess["miou"] and record["fwiou"] > guess["fwiou"]:
        return []
    figures = "mIoU" if record["miou"] <= guess["miou"] else "FwIoU"
    key = figures.lower()
    return [
        Verdict(
            "bad",
            f"{results['method']} has {_points(record[key])} {figures}, giving every pixel the class {name} has "
            f"{_points(guess[key])}: it has learnt nothing that can be used. Look at the labels, and at the pseudo masks.",
        )
    ]


def _against_maps(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    maps = {n: s["miou"] for n, s in results["scores"].items() if n.startswith("CAM ") and s["miou"] is not None}
    if not maps:
        return []
    best = max(maps, key=maps.__getitem__)
    figures = f"{_points(record['miou'])} mIoU, the classifier's own map {best.removeprefix('CAM ')} {_points(maps[best])}"
    if maps[best] > record["miou"]:
        why = "the segmenter takes from what the classifier knows. Look at its pseudo masks."
        return [Verdict("bad", f"{results['method']} has {figures}: {why}")]
    return [Verdict("good", f"{results['method']} has {figures}.")]


def _gate(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    method = results["method"]
    other = "segmenter" if method != "segmenter" else "segmenter + gate"
    found = results["scores"].get(other)
    if not found or found["miou"] is None or found["miou"] - record["miou"] < NOTICEABLE:
        return []
    change = "without the gate" if other == "segmenter" else "with the gate"
    setting = "false" if other == "segmenter" else "true"
    return [
        Verdict(
            "watch",
            f"{change.capitalize()} it would be {_points(found['miou'])} mIoU instead of {_points(record['miou'])}; if "
            f"validation images say so too, set gated to {setting}.",
        )
    ]


def _weak_classes(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    classes, verdicts = list(record["iou"]), []
    for row, name in enumerate(classes):
        iou, pixels = record["iou"][name], record["pixels"][name]
        if iou is None or iou >= WEAK or not pixels:
            continue
        lost = [(count, k) for k, count in enumerate(record["confusion"][row]) if k != row]
        most, column = max(lost)
        taken = "white" if column == len(classes) else classes[column]
        text = f"{name}: {_points(iou)} IoU"
        text += f", {100 * most / pixels:.0f} % of it are taken for {taken}." if most else ": more is called so than is."
        verdicts.append(Verdict("watch", text))
    return verdicts


def _absent_classes(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    absent = [name for name, pixels in record["pixels"].items() if not pixels]
    text = f"No test image shows {', '.join(absent)}: the figures say nothing of it."
    return [Verdict("note", text)] if absent else []


def _interval(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    interval = results.get("intervals", {}).get(results["method"])
    if not interval:
        return []
    if interval["miou"] is None:
        return [Verdict("watch", "The figures rest on a single image: they say little of others.")]
    low, high = interval["miou"]
    text = f"With {interval['images']} other images like these, mIoU may lie between {_points(low)} and {_points(high)}."
    return [Verdict("watch" if high - low > WIDE else "note", text)]


def _borders(results: Mapping[str, Any], record: Mapping[str, Any]) -> list[Verdict]:
    found = results.get("borders", {}).get(results["method"])
    if not found:
        return []
    near, beyond = found["near"], found["beyond"]
    wrong = near["wrong"] + beyond["wrong"]
    if not wrong or not near["pixels"] or not beyond["pixels"]:
        return []
    share = near["wrong"] / wrong
    where = "within" if share > MOSTLY else "beyond"
    part = share if share > MOSTLY else 1 - share
    return [
        Verdict(
            "note",
            f"{100 * part:.0f} % of the wrong pixels lie {where} {found['distance']:g} px of a true border: "
            f"{100 * near['wrong'] / near['pixels']:.1f} % of the pixels there are wrong, "
            f"{100 * beyond['wrong'] / beyond['pixels']:.1f} % farther away.",
        )
    ]
