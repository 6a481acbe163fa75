"""Tables and charts of the report on scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..pages import line_chart, percent, table

__all__ = ["border_table", "certainty_chart", "confusion_table", "image_table", "pseudo_mask_table", "score_table_html"]

_FIGURES = {
    "miou": "mIoU", "fwiou": "FwIoU", "pixel_accuracy": "pixel acc.", "mean_accuracy": "mean acc.", "mean_f1": "mean F1",
}  # fmt: skip


def score_table_html(results: Mapping[str, Any], facts: DatasetFacts) -> str:
    """Every method: its scores, the best of each column bold, with intervals over images, and what they rest on.

    Args:
        results: of :meth:`~.evaluate.Evaluation.results`.
        facts: of the dataset.
    """
    scores, method = results["scores"], results["method"]
    columns = [(label, [s.get(key) for s in scores.values()]) for key, label in _FIGURES.items()]
    columns += [(f"IoU {c}", [s["iou"].get(c) for s in scores.values()]) for c in facts.classes]
    shown = [[percent(v) for v in values] for _, values in columns]
    # figures that read the same are equally good
    best = [percent(max((v for v in values if v is not None), default=None)) for _, values in columns]
    intervals, over_images = results.get("intervals", {}), results.get("over_images", {})
    rows = []
    for index, name in enumerate(scores):
        cells = [
            f"<td{' class=best' if texts[index] == top != percent(None) else ''}>{texts[index]}</td>"
            for texts, top in zip(shown, best, strict=True)
        ]
        if intervals:
            cells += [_interval(intervals.get(name)), _spread(over_images.get(name))]
        rows.append([name, *cells])
    pixels = scores[method]["pixels"]
    total = max(1, sum(pixels.values()))
    support = "".join(f"<td>{pixels[c]:,}<br>{100 * pixels[c] / total:.1f} %</td>" for c in facts.classes)
    foot = f'<tr><th scope="row" colspan="{len(_FIGURES) + 1}">true pixels that the figures rest on</th>{support}'
    foot += "<td></td><td></td></tr>" if intervals else "</tr>"
    heads = ["method", *(label for label, _ in columns), *(["mIoU, 95 %", "FwIoU of images"] if intervals else [])]
    return table("Scores per method", heads, rows, record=method, foot=foot) + (
        "<p class=hint>In percent, from one confusion matrix over all test pixels. Bold: best of a column; shaded: the "
        f"method of record, {escape(method)}, which inference uses. CAM rows are the classifier's own maps (stage 1). The "
        "majority row gives every pixel the class that is most frequent in the truth. 95 %: interval over test sets drawn "
        "from these images (bootstrap). FwIoU of images: mean ± standard deviation.</p>"
    )


def _interval(found: Mapping[str, Any] | None) -> str:
    if not found or found["miou"] is None:
        return percent(None)
    return f"{percent(found['miou'][0])} to {percent(found['miou'][1])}"


def _spread(found: Mapping[str, Any] | None) -> str:
    if not found or found["mean"] is None:
        return percent(None)
    return percent(found["mean"]) + (f" ± {percent(found['sd'])}" if found["sd"] is not None else "")


def confusion_table(results: Mapping[str, Any], facts: DatasetFacts) -> str:
    """Confusion matrix of the method of record."""
    matrix = np.asarray(results["scores"][results["method"]]["confusion"], np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [*facts.classes, "white"]
    if not matrix[:, -1].any():
        matrix, share, names = matrix[:, :-1], share[:, :-1], names[:-1]
    rows = [
        [
            name,
            *(
                f'<td class=cell style="--share:{s:.3f}" title="{int(n)} px">{100 * s:.1f}<small>{int(n):,} px</small></td>'
                for s, n in zip(shares, counts, strict=True)
            ),
        ]
        for name, shares, counts in zip(facts.classes, share, matrix, strict=True)
    ]
    shown = table("Confusion matrix", ["truth \\ predicted", *names], rows, kind="confusion")
    return shown + "<p class=hint>Percent of each true class, and pixels.</p>"


def border_table(results: Mapping[str, Any]) -> str:
    """Wrong pixels near true borders and beyond, per method."""
    found = results.get("borders", {})
    if not found:
        return ""
    rows = []
    for method, counts in found.items():
        near, beyond = counts["near"], counts["beyond"]
        cells = [percent(part["wrong"] / part["pixels"]) if part["pixels"] else percent(None) for part in (near, beyond)]
        wrong = near["wrong"] + beyond["wrong"]
        rows.append([method, *cells, percent(near["wrong"] / wrong) if wrong else percent(None)])
    counts = found[results["method"]]
    pixels = counts["near"]["pixels"] + counts["beyond"]["pixels"]
    share, distance = counts["near"]["pixels"] / max(1, pixels), f"{counts['distance']:g} px"
    heads = ["method", f"wrong within {distance}, %", "wrong beyond, %", "errors within, % of all"]
    return table("Errors near borders", heads, rows, record=results["method"]) + (
        f"<p class=hint>{percent(share)} % of the pixels lie within {distance} of a true border, where people who outline "
        "tissue differ too.</p>"
    )


def certainty_chart(results: Mapping[str, Any], curve: Sequence[tuple[float, float]]) -> str:
    """Share of wrong pixels among the most certain ones, over how many of them are kept."""
    found = results.get("risk_coverage", {})
    if found.get("gain") is None:
        return ""
    step = max(1, len(curve) // 60)
    points = [(100 * c, 100 * r) for c, r in [*curve[::step], curve[-1]] if c >= 0.02]  # of few pixels, chance decides
    oracle = [(100 * k / 50, 100 * max(0.0, 1 - (1 - found["risk"]) * 50 / k)) for k in range(1, 51)]
    chart = line_chart("Wrong among the most certain pixels, %", {"certainty": points, "oracle": oracle}, "% of pixels kept")
    return f'<div class="charts">{chart}</div>' + (
        f"<p class=hint>Area under the curve {percent(found['aurc'])} %; of random certainty {percent(found['risk'])} %, of "
        f"an oracle {percent(found['oracle'])} %: certainty goes {percent(found['gain'], 0)} % of the way.</p>"
    )


def image_table(results: Mapping[str, Any], facts: DatasetFacts) -> str:
    """Scores of every image, worst first; sorts by a click."""
    images = sorted(results["images"].items(), key=lambda item: (item[1]["fwiou"] is None, item[1]["fwiou"], item[0]))
    rows = []
    for name, scores in images:
        total = max(1, sum(scores["pixels"].values()))
        cells = [scores["fwiou"], scores["miou"], scores["pixel_accuracy"], scores.get("certainty")]
        cells += [scores["iou"].get(c) for c in facts.classes]
        true = [f"{100 * scores['pixels'][c] / total:.0f}" for c in facts.classes]
        rows.append([name, *map(percent, cells), *true])
    heads = ["image", "FwIoU", "mIoU", "pixel acc.", "certainty", *(f"IoU {c}" for c in facts.classes)]
    heads += [f"true {c}" for c in facts.classes]
    return table("Scores per image", heads, rows, sortable=True) + "<p class=hint>In percent. A click on a column sorts.</p>"


def pseudo_mask_table(summary: Mapping[str, Any], facts: DatasetFacts) -> str:
    """What the pseudo masks of each layer say, and how good they are where true masks are at hand."""
    if not summary:
        return ""
    names = list(next(iter(summary["pixels"].values())))
    scores = summary.get("scores") or {}
    classes = facts.classes if scores else ()
    heads = ["layer", *(f"{n} px %" for n in names), *(["mIoU"] if scores else []), *(f"IoU {c}" for c in classes)]
    rows = []
    for layer, pixels in summary["pixels"].items():
        total = max(1, sum(pixels.values()))
        cells = [f"{100 * pixels[n] / total:.1f}" for n in names]
        if scores:
            cells += [percent(scores[layer]["miou"]), *(percent(scores[layer]["iou"].get(c)) for c in classes)]
        rows.append([layer, *cells])
    agreement = ", ".join(f"{escape(pair)} {percent(v)} %" for pair, v in summary["agreement"].items())
    known = " IoU is against true masks, which training never saw." if scores else ""
    return table("Pseudo masks per layer", heads, rows) + (
        f"<p class=hint>{summary['patches']} training patches. Pixels on which layers agree: {agreement}.{known}</p>"
    )
