"""All speed figures of one device in one record, within minutes: made for a GPU that is lent for a while.

    python benchmarks/gpu.py --out benchmarks/results/gpu.json

Parts, each measured against plain float32 loops in turns, as the benchmarks of their names do by themselves:

- ``pseudo_masks``: this bundle against twelve forward and backward passes per patch (``pseudo_masks.py``);
- ``networks``: training steps and gated inference of the paper's networks, as a share of the device's matrix product too
  (``networks.py``);
- ``training``: the default classifier from files to optimiser steps, with this bundle's loader, precision and compilation;
- ``slide``: a drawn slide (``drawn_slide.py``) with the default networks, reading and writing included.

``epochs`` projects one pass over the paper's two sets from these rates. Weights are drawn by seed: speed does not depend on
them. The record is written after each part; none starts after ``--limit``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pseudo_masks
import torch
from drawn_slide import write_drawn_slide
from gpu_training import Training
from harness import alternate, print_table, record, sync
from PIL import Image
from scripts.core.atomic import write_json
from scripts.core.facts import DATALIST_NAME, DatasetFacts
from scripts.weights.description import FILES
from scripts.weights.files import save_weights
from torch.utils.flop_counter import FlopCounterMode

CLASSES = ("TE", "NEC", "LYM", "TAS")
PARTS = ("pseudo_masks", "networks", "training", "slide")
PLAIN, OURS, WORKERS, COMPILED = "plain", "this bundle", "this bundle, workers", "this bundle, workers, compiled"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small networks, patches and slide: to see that all of it runs")
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="default: all")
    parser.add_argument("--patches", type=int, default=512, help="patches of an epoch of training (default 512)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant (default 3)")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes of the loader")
    parser.add_argument("--slide-size", type=int, default=8000, help="side of the slide in px (default 8000)")
    parser.add_argument("--limit", type=float, default=400, help="s after which no further part starts (default 400)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/gpu.json", help="JSON record")
    options = parser.parse_args(arguments)
    if options.small:
        options.patches, options.rounds, options.workers, options.slide_size = 48, 1, 1, 1200
    device = torch.device(options.device)
    results: dict[str, Any] = {"seconds": {}}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts:
            if time.perf_counter() - began > options.limit:
                print(f"{part}: not started, {options.limit:.0f} s have gone")
                continue
            start = time.perf_counter()
            results[part] = globals()[f"measure_{part}"](options, device, Path(folder))
            results["seconds"][part] = time.perf_counter() - start
            results["epochs"] = epochs(results)
            record(options.out, "gpu", vars(options), results, device)
    for name, sets in results["epochs"].items():
        print(f"one pass, {name}: " + ", ".join(f"{data} {seconds / 60:.1f} min" for data, seconds in sets.items()))


def measure_pseudo_masks(options: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, Any]:
    """What ``pseudo_masks.py`` measures."""
    sizes = "--size 32 --patches 4 --batch-size 2 --width 0.25" if options.small else "--patches 96 --batch-size 32"
    return _own_record(pseudo_masks.main, sizes.split(), options, device, folder)


def measure_networks(options: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, Any]:
    """What ``networks.py`` measures."""
    # a large product of bfloat16 takes minutes where the processor has none
    sizes = "--size 32 --batch-size 2 --width 0.25 --product 128" if options.small else "--batch-size 16"
    return _own_record(networks.main, sizes.split(), options, device, folder)


def _own_record(
    measure: Any, sizes: Sequence[str], options: argparse.Namespace, device: torch.device, folder: Path
) -> dict[str, Any]:
    out = folder / "record.json"
    common = ["--rounds", str(options.rounds), "--device", str(device), "--seed", str(options.seed), "--out", str(out)]
    measure([*sizes, *common])
    content = json.loads(out.read_text(encoding="utf-8"))
    return {"settings": content["settings"], **content["results"]}


def measure_training(options: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, Any]:
    """Patches per second of the default classifier: with its loader, and from memory; share of the bfloat16 product."""
    data = _dataset(folder / "data", options.patches, 32 if options.small else 224, options.seed)
    backend = "eager" if options.small else "inductor"  # a compiler takes longer than all else here
    workers = {"num_workers": options.workers}
    contestants = {
        PLAIN: Training(data, device, plain=True),
        OURS: Training(data, device),
        WORKERS: Training(data, device, **workers),
        COMPILED: Training(data, device, backend=backend, **workers),
    }
    seconds = alternate({k: c.epoch for k, c in contestants.items()}, options.rounds, device, warm_up=list(contestants))
    rates = {k: contestants[k].patches / statistics.median(s) for k, s in seconds.items()}
    alone = {k: c for k, c in contestants.items() if k != WORKERS}
    steps = alternate({k: c.step for k, c in alone.items()}, 10 * options.rounds, device, warm_up=list(alone))
    from_memory = {k: alone[k].batch_size / statistics.median(s) for k, s in steps.items()}
    with FlopCounterMode(display=False) as counter:
        contestants[PLAIN].step()
    peak = networks.peak(device, torch.bfloat16, 128 if options.small else 2048)
    flops = counter.get_total_flops() / contestants[PLAIN].batch_size
    shares = {k: rate * flops / peak for k, rate in from_memory.items()}
    rows = [[k, f"{rates[k]:.1f}", f"{rates[k] / rates[PLAIN]:.2f}x"] for k in rates]
    rows = [[*row, *([f"{from_memory[row[0]]:.1f}", f"{shares[row[0]]:.1%}"] if row[0] in alone else "  ")] for row in rows]
    print_table(["default classifier, patches per second", "with loader", "ratio", "from memory", "of bfloat16 peak"], rows)
    return {
        "seconds": seconds, "patches_per_second": rates, "step_seconds": steps, "from_memory": from_memory,
        "flops_per_patch": flops, "peak_flops": peak, "share_of_peak": shares, "backend": backend,
    }  # fmt: skip


def measure_slide(options: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, Any]:
    """µs per pixel of a drawn slide at the weights' pixel size, from file to label map, of all of it and of its tissue."""
    from scripts.slides import SlideSegmenter
    from scripts.slides.cohort_inputs import SlideTask

    data = _dataset(folder / "for_weights", 16, 32 if options.small else 224, options.seed)
    for kind, name in FILES.items():
        made = Training(data, torch.device("cpu"), kind=kind)
        save_weights(folder / "models" / name, made.content("network_def"), made.content("description"))
    write_drawn_slide(folder / "slide.tif", options.slide_size)
    segmenter = SlideSegmenter(folder / "models", str(device), outputs=("label_map",))
    task, seconds = SlideTask(path=folder / "slide.tif", name="slide"), []
    for number in range(2):  # the first warms up
        (out := folder / f"slide_{number}").mkdir()
        sync(device)
        start = time.perf_counter()
        result = segmenter(task, out, lambda mm2: None)
        sync(device)
        seconds.append(time.perf_counter() - start)
    pixel = result["map_mpp"][0] * result["map_mpp"][1] * 1e-6  # mm²
    pixels = {"slide": options.slide_size**2, "tissue": round(result["tissue_mm2"] / pixel)}
    found = {name: seconds[-1] / count * 1e6 for name, count in pixels.items()}
    print("slide: " + ", ".join(f"{value:.3f} µs per pixel of {name}" for name, value in found.items()))
    return {"seconds": seconds, "pixels": pixels, "microseconds_per_pixel": found}


def epochs(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Seconds of one pass over each of the paper's sets, by what was measured of it."""
    rates = {}
    for name, task in results.get("networks", {}).get("tasks", {}).items():
        rates[f"{name} of the paper, steps" if name != "inference" else "inference of the paper"] = task[
            "patches_per_second"
        ]
    for name, rate in results.get("training", {}).get("patches_per_second", {}).items():
        rates[f"default classifier, {name}"] = rate
    for name, rate in results.get("pseudo_masks", {}).get("patches_per_second", {}).get("mix", {}).items():
        rates[f"pseudo masks, {name}"] = rate
    return {name: {data: count / rate for data, count in networks.PATCHES.items()} for name, rate in rates.items()}


def _dataset(folder: Path, patches: int, size: int, seed: int) -> Path:
    """A prepared dataset of drawn patches, a fourth as many to validate."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    entries = []
    for number, image in enumerate(pseudo_masks.smooth_noise(rng, patches, size)):
        Image.fromarray(image).save(folder / f"{number}.png")
        label = [int(k == number % len(CLASSES) or rng.random() < 0.3) for k in range(len(CLASSES))]
        entries.append({"image": f"{number}.png", "label": label, "group": str(number)})
    facts = DatasetFacts(name="drawn patches", classes=CLASSES, white_background=True, mpp=0.5)
    content = {**facts.to_dict(), "training": entries, "validation": entries[: patches // 4], "test": []}
    write_json(folder / DATALIST_NAME, content)
    return folder


if __name__ == "__main__":
    main()
