"""What tells the patches that a classifier is wrong about: each sign of a suggestion alone, and together.

    python benchmarks/label_signs.py --dataset glas --work WORK

Of the runs at random of label_curve.py in WORK: on the patches that were not labelled, and whose labels are known here, the
area under the curve by which each sign tells those with a wrong answer (0.5: by chance).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import print_table, record
from scripts.core.images import image_size, read_image
from scripts.data import read_datalist
from scripts.labelling.looks import Looks, Onlooker, batched
from scripts.labelling.teaching import teaching_value
from scripts.weights import load_weights, network_of
from sklearn.metrics import roc_auc_score

__all__ = ["signs"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write the record; 1 if there is no run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="+", required=True, help="names of dataset configs: glas, wsss4luad")
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs of label_curve.py")
    parser.add_argument("--out", type=Path, help="JSON (default: benchmarks/results/label_signs.json)")
    options = parser.parse_args(arguments)
    out = options.out or Path(__file__).parent / "results" / "label_signs.json"
    runs = []
    for dataset in options.dataset:
        for metrics in sorted((options.work / "label_curve" / dataset).glob("*/random/*/evaluate/metrics.json")):
            run = metrics.parents[1]
            runs.append({"dataset": dataset, "seed": int(run.parents[1].name), "share": float(run.name), **measured(run)})
            print(runs[-1], file=sys.stderr, flush=True)
    if not runs:
        print(f"{options.work}: found no run of label_curve.py", file=sys.stderr)
        return 1
    names = list(runs[0]["areas"])
    means = {
        (name, dataset): float(np.mean([r["areas"][name] for r in runs if dataset in ("all", r["dataset"])]))
        for name in names
        for dataset in (*options.dataset, "all")
    }
    columns = (*options.dataset, "all")
    print_table(["sign", *columns], [[name, *(f"{means[name, d]:.3f}" for d in columns)] for name in names])
    results = {"runs": runs, "means": {name: {d: round(means[name, d], 4) for d in columns} for name in names}}
    record(out, "label_signs", {"datasets": options.dataset}, results, torch.device("cpu"))
    return 0


def measured(run: Path) -> dict[str, Any]:
    """Share of the patches that are answered wrongly, and the areas of all signs."""
    labelled = read_datalist(run / "data", "training")
    used = {Path(e["image"]).name for e in labelled}
    pool = [e for e in read_datalist(run.parents[1] / "data", "training") if Path(e["image"]).name not in used]
    networks = [
        load_weights(path, kind, network_of(path, kind)).network
        for path, kind in ((run / "models/classifier.pt", "classifier"), (run / "models/model.pt", "segmenter"))
    ]
    onlooker = Onlooker(networks[0].extractor, *networks)
    looks = onlooker(batched((read_image(e["image"]) for e in pool), image_size(pool[0]["image"])))
    wrong = ((looks.probability > 0.5) != np.array([e["label"] for e in pool], bool)).any(axis=1)
    areas = {name: round(float(roc_auc_score(wrong, value)), 4) for name, value in signs(looks, labelled).items()}
    return {"patches": len(pool), "wrong": round(float(wrong.mean()), 4), "areas": areas}


def signs(looks: Looks, labelled: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Values ``(N,)`` of each sign alone, of two, and of all."""
    known, sure = np.array([e["label"] for e in labelled]), np.zeros_like(looks.probability)
    return {
        "entropy": teaching_value(looks.probability),
        "entropy, rare classes more": teaching_value(looks.probability, labelled=known),
        "depths": teaching_value(sure, looks.depths),
        "segmenter": teaching_value(looks.probability, shares=looks.shares) - teaching_value(looks.probability),
        "entropy and depths": teaching_value(looks.probability, looks.depths, None, known),
        "entropy and segmenter": teaching_value(looks.probability, None, looks.shares, known),
        "all three": teaching_value(looks.probability, looks.depths, looks.shares, known),
    }


if __name__ == "__main__":
    sys.exit(main())
