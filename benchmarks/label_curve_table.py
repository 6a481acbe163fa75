"""Table and figure of label_curve.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["METHOD", "curve_figure", "summarise"]

METHOD = "segmenter + gate"


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds of mIoU and FwIoU in percent, for each share of the labels and choice."""
    table = []
    for share, choice in sorted({(r["share"], r["choice"]) for r in runs}):
        part = [r for r in runs if (r["share"], r["choice"]) == (share, choice)]
        row: dict[str, Any] = {"share": share, "choice": choice, "runs": len(part)}
        row["labels"] = round(float(np.mean([r["labels"] for r in part])))
        for score in ("miou", "fwiou"):
            values = [100 * r["scores"][METHOD][score] for r in part]
            row[f"{score}_values"] = [round(v, 2) for v in values]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            row[score] = f"{np.mean(values):.1f}{spread}"
        table.append(row)
    return table


def curve_figure(table: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw mIoU over the number of labels, each seed a dot, for each choice; full supervision as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), dpi=130)
    whole = [r for r in table if r["choice"] == "all"]
    for choice, colour in (("random", "#c04f00"), ("suggested", "#0072b2")):
        rows = [r for r in table if r["choice"] == choice] + whole
        if not rows:
            continue
        axes.plot([r["labels"] for r in rows], [np.mean(r["miou_values"]) for r in rows], "-o", color=colour, label=choice)
        for r in rows:
            axes.plot([r["labels"]] * len(r["miou_values"]), r["miou_values"], ".", color=colour, alpha=0.4)
    for r in table:
        if r["choice"] == "full supervision":
            axes.axhline(np.mean(r["miou_values"]), color="#555", linestyle="--", label="full supervision, all patches")
    axes.set(xscale="log", xlabel="labelled patches", ylabel="mIoU of the test regions, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
