"""What a run ends with, as text: scores if there are any, what was made, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["made", "score_table"]


def score_table(results: Mapping[str, Any], published: Mapping[str, Sequence[float]] | None = None) -> str:
    """Scores per method in percent, and published ones where the dataset has them.

    Args:
        results: content of ``metrics.json``.
        published: mIoU in percent of methods, lowest and highest.
    """
    scores = results["scores"]
    classes = list(next(iter(scores.values()))["iou"])
    width = max(map(len, scores))
    lines = [" " * width + "   mIoU  FwIoU  " + "  ".join(f"IoU {c}" for c in classes)]
    for method, values in scores.items():
        cells = [values["miou"], values["fwiou"], *(values["iou"][c] for c in classes)]
        text = [("-" if v is None else f"{100 * v:.1f}") for v in cells]
        widths = [6, 6, *(len(c) + 5 for c in classes)]
        lines.append(f"{method:<{width}}" + "".join(t.rjust(w + 1) for t, w in zip(text, widths, strict=True)))
    for method, (low, high) in (published or {}).items():
        lines.append(f"published mIoU {low:.1f}{f' to {high:.1f}' if high > low else ''}: {method}")
    return "\n".join(lines)


def made(output_dir: str | Path, model_dir: str | Path, stages: Sequence[str]) -> str:
    """What stages have made, and where it is.

    Args:
        output_dir: folder of the run.
        model_dir: folder of the weights.
        stages: names of the stages that ran.
    """
    output, models = Path(output_dir).absolute(), Path(model_dir).absolute()
    found = {
        "train_classifier": [("classifier", models / "classifier.pt")],
        "generate_pseudo_masks": [("pseudo masks", output / "pseudo_masks")],
        "train": [("segmenter", models / "model.pt"), ("training", output / "train" / "history.json")],
        "evaluate": [
            ("report", output / "evaluate" / "report.html"),
            ("pictures", output / "evaluate" / "gallery.png"),
            ("label maps", output / "evaluate" / "label_maps"),
        ],
        "report": [("report", output / "report" / "report.html")],
    }
    lines = [(name, path) for stage in stages for name, path in found.get(stage, []) if path.exists()]
    return "\n".join(f"{name:<13} {path}" for name, path in lines)
