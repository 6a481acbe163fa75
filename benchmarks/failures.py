"""Where a recipe fails: its worst test images among the finished runs of accuracy.py, prediction beside errors.

    python benchmarks/failures.py --dataset glas --work WORK --count 3 --out failures_glas.png

Without --tissue nothing of the images is drawn, for data that may not be passed on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import folder_of
from PIL import Image
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image
from scripts.core.images import read_image, read_mask
from scripts.core.pictures import colourise, legend, overlay, strip
from scripts.data.datalist import read_datalist

METHOD = "segmenter + gate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the picture and print what it shows; 1 if there is no finished run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs, as given to accuracy.py")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=3, help="number of images")
    parser.add_argument("--tissue", action="store_true", help="draw over the images, and the truth beside them")
    parser.add_argument("--out", required=True, type=Path, help="PNG")
    options = parser.parse_args(arguments)
    runs = {seed: folder_of(options.work, options.dataset, seed, options.recipe) for seed in options.seeds}
    runs = {seed: folder for seed, folder in runs.items() if finished(folder)}
    if not runs:
        print(f"no finished run of {options.recipe} under {options.work / options.dataset}", file=sys.stderr)
        return 1
    rows = []
    for case in worst(runs, options.count):
        print(f"seed {case['seed']}, {case['name']}: FwIoU {100 * case['scores']['fwiou']:.1f}, IoU {case['scores']['iou']}")
        rows.append(draw(case, runs[case["seed"]], options.tissue))
    facts = load_facts(str(next(iter(runs.values())).parent / "data"))
    write_image(options.out, stack([*rows, legend(facts)]))
    print(f"picture: {options.out}")
    return 0


def finished(folder: Path) -> bool:
    """Whether a folder holds a finished run."""
    record = folder / "run.json"
    return record.is_file() and json.loads(record.read_text())["finished"] and (folder / "evaluate/metrics.json").is_file()


def worst(runs: dict[int, Path], count: int) -> list[dict[str, Any]]:
    """Test images of lowest FwIoU, no image twice whatever the seeds that tested it."""
    found: dict[str, dict[str, Any]] = {}
    for seed, folder in runs.items():
        for name, scores in json.loads((folder / "evaluate/metrics.json").read_text())["images"].items():
            row = {"seed": seed, "name": name, "scores": scores}
            if scores["fwiou"] is not None and scores["fwiou"] < found.get(name, row)["scores"]["fwiou"] + 1e-12:
                found[name] = row
    return sorted(found.values(), key=lambda row: row["scores"]["fwiou"])[:count]


def draw(case: dict[str, Any], folder: Path, tissue: bool) -> np.ndarray:
    """Prediction and errors of one test image."""
    data = folder.parent / "data"
    facts = load_facts(str(data))
    entry = next(e for e in read_datalist(data, "test", ("image",)) if e["name"] == case["name"])
    path = folder / "evaluate/label_maps" / METHOD.replace(" ", "_").replace("+", "and") / f"{case['name']}.png"
    prediction, truth = read_mask(path), read_mask(entry["mask"], facts.num_classes)
    prediction = np.where(truth < facts.num_classes, prediction, facts.white_value)
    title = f"seed {case['seed']}, {case['name']}: FwIoU {100 * case['scores']['fwiou']:.0f} %"
    panels = [(title, colourise(prediction, facts)), ("errors (dark)", errors(prediction, truth, facts))]
    if tissue:
        image = read_image(entry["image"])
        shown = [("image", image), ("truth", overlay(image, truth, facts))]
        panels = [*shown, (title, overlay(image, prediction, facts)), panels[1]]
    return strip(panels, height=200)


def errors(prediction: np.ndarray, truth: np.ndarray, facts: DatasetFacts) -> np.ndarray:
    """``(H, W, 3)`` uint8: dark where a tissue pixel is wrong, grey where right, white where nothing is annotated."""
    shade = np.where(truth >= facts.num_classes, 255, np.where(prediction == truth, 215, 50)).astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=2)


def stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures one below the other, left-aligned on white."""
    canvas = Image.new("RGB", (max(p.shape[1] for p in pictures), sum(p.shape[0] for p in pictures)), "white")
    top = 0
    for picture in pictures:
        canvas.paste(Image.fromarray(picture), (0, top))
        top += picture.shape[0]
    return np.asarray(canvas)


if __name__ == "__main__":
    sys.exit(main())
