"""Schemes of inference against each other: what each scores, and what it costs.

    python benchmarks/inference.py --work WORK --datasets glas wsss4luad --seeds 0 1 2

The networks and datasets are those of benchmarks/accuracy.py under WORK/<dataset>/<seed>/default. A scheme is settings of
inference; its cost is CPU seconds per megapixel on one thread, network and all, so that other work on the machine counts
little. Runs that the record has are not made again. Validation regions choose, test regions are for the one that is chosen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from harness import print_table, record
from scripts.core.images import read_image
from scripts.core.masks import read_mask
from scripts.core.metrics import ConfusionMatrix
from scripts.data.datalist import read_datalist
from scripts.inference import TissueModel, load_model

#: Settings of inference by the name of the scheme; the record has those of version 0.8 too.
SCHEMES: dict[str, dict[str, Any]] = {
    "best": {"quality": "best"},
    "fast": {"quality": "fast"},
    "fast, large windows alone": {"quality": "fast", "window_scales": [2.0]},
    "fast, not turned": {"quality": "fast", "turned": False},
    "fast, no gate": {"quality": "fast", "gated": False},
    "four flips, overlap 0.5": {"flips": True, "turned": False, "window_scales": [1.0, 2.0], "overlap": 0.5},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs of benchmarks/accuracy.py")
    parser.add_argument("--datasets", nargs="+", default=["glas", "wsss4luad"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--schemes", nargs="+", choices=list(SCHEMES), default=list(SCHEMES))
    parser.add_argument("--sections", nargs="+", choices=["validation", "test"], default=["validation"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "inference.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs = before(options.out)
    known = {tuple(r[k] for k in ("dataset", "seed", "scheme", "section")) for r in runs}
    for dataset in options.datasets:
        for seed in options.seeds:
            folder = options.work / dataset / str(seed)
            for scheme in options.schemes:
                for section in options.sections:
                    if (dataset, seed, scheme, section) in known:
                        continue
                    model = load_model(folder / "default" / "models", "cpu", **SCHEMES[scheme])
                    found = measure(model, folder / "data", section)
                    runs.append({"dataset": dataset, "seed": seed, "scheme": scheme, "section": section, **found})
                    print(f"{dataset} {seed} {scheme}, {section}: {found}", file=sys.stderr, flush=True)
    table = summarise(runs)
    print_table(*layout(table))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    record(options.out, "inference", {"schemes": SCHEMES},
           {"runs": runs, "table": table}, torch.device("cpu"))  # fmt: skip
    return 0


def before(out: Path) -> list[dict[str, Any]]:
    """Runs of the record that is there, which are not made again."""
    return json.loads(out.read_text(encoding="utf-8"))["results"]["runs"] if out.is_file() else []


def measure(model: TissueModel, dataset_dir: Path, section: str) -> dict[str, float]:
    """mIoU and FwIoU in percent over the regions of a section, and CPU seconds per megapixel of segmenting them."""
    matrix, seconds, pixels = ConfusionMatrix(model.facts.num_classes), 0.0, 0
    for entry in read_datalist(dataset_dir, section, ("image", "mask")):
        image = read_image(entry["image"])
        start = time.process_time()
        found = model.segment(image)
        seconds += time.process_time() - start
        pixels += image.shape[0] * image.shape[1]
        matrix.update(found.label_map, read_mask(entry["mask"], model.facts.num_classes))
    scores = matrix.scores(model.classes)
    return {
        "miou": round(100 * scores["miou"], 2),
        "fwiou": round(100 * scores["fwiou"], 2),
        "seconds_per_megapixel": round(seconds / pixels * 1e6, 3),
    }


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds of each scheme, dataset and section; of the seconds, the median."""
    keys = dict.fromkeys((r["scheme"], r["dataset"], r["section"]) for r in runs)
    table = []
    for scheme, dataset, section in keys:
        these = [r for r in runs if (r["scheme"], r["dataset"], r["section"]) == (scheme, dataset, section)]
        row: dict[str, Any] = {"scheme": scheme, "dataset": dataset, "section": section, "seeds": len(these)}
        row.update({k: round(statistics.mean(r[k] for r in these), 2) for k in ("miou", "fwiou")})
        row["seconds_per_megapixel"] = round(statistics.median(r["seconds_per_megapixel"] for r in these), 2)
        table.append(row)
    return table


def layout(table: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a row for each scheme."""
    columns = list(dict.fromkeys((r["dataset"], r["section"]) for r in table))
    header = ["scheme", *(f"{d}, {s}: mIoU, FwIoU; CPU s/MP" for d, s in columns)]
    rows = []
    for scheme in dict.fromkeys(r["scheme"] for r in table):
        cells = {(r["dataset"], r["section"]): r for r in table if r["scheme"] == scheme}
        found = [cells.get(column) for column in columns]
        rows.append([scheme, *(f"{r['miou']}, {r['fwiou']}; {r['seconds_per_megapixel']}" if r else "" for r in found)])
    return header, rows


if __name__ == "__main__":
    sys.exit(main())
