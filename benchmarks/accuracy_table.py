"""The table and the figure of accuracy.py."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def summarise(runs: Sequence[Mapping[str, Any]], reference: str | None) -> list[dict[str, Any]]:
    """A row per recipe and method: ``[mean, standard deviation]`` of each score in percent, gaps to the reference.

    Gaps are means over the seeds that both have: of gated maps to the reference's gated segmenter, of others to its
    segmenter.
    """
    best = {r["seed"]: r["scores"] for r in runs if r["recipe"] == reference}
    rows = []
    for name in dict.fromkeys(r["recipe"] for r in runs):
        own = [r for r in runs if r["recipe"] == name]
        for method in (m for m in own[0]["scores"] if not m.startswith("majority")):
            scores = [r["scores"][method] for r in own]
            against = method if method.endswith("+ gate") else "segmenter"
            both = [(r["scores"][method], best[r["seed"]][against]) for r in own if r["seed"] in best]
            rows.append({
                "recipe": name, "method": method, "seeds": [r["seed"] for r in own],
                **{key: _spread([s[key] for s in scores]) for key in ("miou", "fwiou")},
                "iou": {c: _spread([s["iou"][c] for s in scores]) for c in scores[0]["iou"]},
                **{f"gap_{key}": 100 * statistics.mean(b[key] - a[key] for a, b in both) if both else None
                   for key in ("miou", "fwiou")},
                "minutes": statistics.mean(sum(r["minutes"].values()) for r in own),
                "peak_gb": max(r["peak_gb"] for r in own),
            })  # fmt: skip
    return rows


def layout(table: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of :func:`summarise`'s rows."""
    classes = list(table[0]["iou"])
    header = ["recipe: method", "seeds", "mIoU", "FwIoU", *classes, "gap mIoU", "gap FwIoU", "minutes", "GB"]

    def show(spread: Sequence[float] | None) -> str:
        return (
            "-" if spread is None else f"{spread[0]:.1f} ± {spread[1]:.1f}" if spread[1] is not None else f"{spread[0]:.1f}"
        )

    def gap(points: float | None) -> str:
        return "-" if points is None else f"{round(points, 1) + 0.0:.1f}"  # + 0.0: no sign before a zero

    rows = [
        [f"{r['recipe']}: {r['method']}", str(len(r["seeds"])), show(r["miou"]), show(r["fwiou"]),
         *(show(r["iou"][c]) for c in classes), gap(r["gap_miou"]), gap(r["gap_fwiou"]),
         f"{r['minutes']:.1f}", f"{r['peak_gb']:.1f}"]
        for r in table
    ]  # fmt: skip
    return header, rows


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a document."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rows))


def figure(runs: Sequence[Mapping[str, Any]], path: Path, dataset: str) -> None:
    """mIoU of the segmenter with and without gate, a dot per seed, a bar at the mean."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(r["recipe"] for r in runs))
    drawing, axes = pyplot.subplots(figsize=(7, 0.55 * len(names) + 1.4), layout="constrained")
    for shift, method, colour in ((-0.16, "segmenter", "#0072b2"), (0.16, "segmenter + gate", "#d55e00")):
        for row, name in enumerate(names):
            values = [100 * r["scores"][method]["miou"] for r in runs if r["recipe"] == name]
            axes.barh(
                row + shift, statistics.mean(values), 0.3, color=colour, alpha=0.35, label=method if row == 0 else None
            )
            axes.plot(values, [row + shift] * len(values), "o", color=colour, markersize=4)
    lowest = min(r["scores"][m]["miou"] for r in runs for m in ("segmenter", "segmenter + gate"))
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="mIoU of the test regions, %", title=dataset)
    axes.set_xlim(left=max(0.0, 100 * lowest - 10))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=2, fontsize="small", frameon=False)
    drawing.savefig(path, dpi=120)
    pyplot.close(drawing)
    print(f"figure: {path}")


def _spread(values: Sequence[float | None]) -> list[float | None] | None:
    known = [100 * v for v in values if v is not None]
    if not known:
        return None
    return [statistics.mean(known), statistics.stdev(known) if len(known) > 1 else None]
