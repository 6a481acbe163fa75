"""Whole slides with this bundle and with TIAToolbox: the same network and windows, and what each takes and writes.

    python -m venv peer && peer/bin/pip install tiatoolbox==2.1.3
    python benchmarks/peer_slides.py --model_dir MODELS --work WORK --peer_python peer/bin/python

The segmenter alone, without gate and flips: windows of twice its training patches at its µm/px, half of them shared with
the next, and a quarter, which this bundle does with; one thread. The slide is drawn (drawn_slide.py). TIAToolbox runs in an
environment of its own (peer_tiatoolbox.py), where the network is traced, and with its own tissue mask. All areas are
compared with the tissue that this bundle finds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import tifffile
import torch
from drawn_slide import write_drawn_slide
from harness import print_table, record
from slides import SCHEMES, measured, run

PEER = "tiatoolbox==2.1.3"
#: Schemes of benchmarks/slides.py by the name in the table, the peer's own overlap last.
OURS = {"this bundle, overlap 0.25": "segmenter, overlap 0.25", "this bundle": "segmenter"}
THEIRS = "TIAToolbox"
_BATCH = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, type=Path, help="weights, such as bundle/output/demo/models")
    parser.add_argument("--work", required=True, type=Path, help="folder of slide and results")
    parser.add_argument("--size", nargs=2, type=int, default=[5000, 6000], help="(H, W) of the slide in px")
    parser.add_argument("--peer_python", default=sys.executable, help=f"Python that has {PEER}")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peer_slides.json")
    options = parser.parse_args(arguments)
    slide = options.work / f"drawn_{options.size[1]}x{options.size[0]}.tif"
    if not slide.is_file():
        options.work.mkdir(parents=True, exist_ok=True)
        write_drawn_slide(slide, tuple(options.size))
    runs: dict[str, dict[str, Any]] = {}
    for name, scheme in OURS.items():
        folder = options.work / scheme
        found = run(slide, options.model_dir, folder, scheme)
        print(name, found, file=sys.stderr, flush=True)
        labels, tissue, facts = ours_and_tissue(slide, options.model_dir, folder)
        pixel, classes = facts["mpp"] ** 2 * 1e-6, len(facts["classes"])
        areas = tissue.sum() * pixel, (labels < classes).sum() * pixel
        runs[name] = found | polygons(folder / f"{slide.stem}.geojson", 0.5, *areas)
        runs[name]["megapixels_seen"] = round(sum(found["windows_per_tissue"]) * found["tissue_megapixels"], 2)
    if subprocess.run([options.peer_python, "-c", "import tiatoolbox"], stderr=subprocess.DEVNULL).returncode:
        print(f"{options.peer_python} has no tiatoolbox, which is left out: {options.peer_python} -m pip install {PEER}")
    else:
        runs[THEIRS] = peer(slide, options, facts)
        folder = options.work / "theirs"
        others = np.load(folder / "labels.npy")
        runs[THEIRS] |= polygons(folder / f"{slide.stem}.geojson", 0.5, tissue.sum() * pixel, others.size * pixel)
        runs[THEIRS]["agreement"] = agreement(labels, others, tissue, classes)
    print_table(*layout(runs))
    record(options.out, "peer_slides", {"size": options.size, "peer": PEER}, runs, torch.device("cpu"))
    return 0


def peer(slide: Path, options: argparse.Namespace, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What TIAToolbox took; the network goes to it as TorchScript."""
    folder = options.work / "theirs"
    folder.mkdir(parents=True, exist_ok=True)
    trace(options.model_dir, facts["window"], folder / "network.ts")
    settings = {**facts, "stride": facts["window"] // 2, "batch": _BATCH, "slide_mpp": 0.5}
    child = str(Path(__file__).with_name("peer_tiatoolbox.py"))
    return measured([options.peer_python, child, str(slide), str(folder / "network.ts"), str(folder), json.dumps(settings)])


def trace(model_dir: Path, window: int, path: Path) -> None:
    """Write the segmenter as TorchScript.

    Raises:
        RuntimeError: it gives other probabilities than the segmenter for another batch.
    """
    from scripts.inference.model import load_model

    network = load_model(model_dir, "cpu", **SCHEMES["segmenter"]).network
    images = torch.rand(_BATCH, 3, window, window).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        traced = torch.jit.trace(network, images, check_trace=False)
        if not torch.allclose(traced(images[1:].flip(3)), network(images[1:].flip(3)), atol=1e-5):
            raise RuntimeError("the traced network gives other probabilities")
    traced.save(str(path))


def ours_and_tissue(slide: Path, model_dir: Path, folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """This bundle's label map ``(H, W)``, where it finds tissue, and what the networks say of themselves."""
    from scripts.inference.model import load_model
    from scripts.slides.slide_reading import open_slide
    from scripts.slides.tissue_choice import choose_tissue

    model = load_model(model_dir, "cpu", **SCHEMES["segmenter"])
    labels = tifffile.imread(folder / f"{slide.stem}.ome.tif", level=0)
    with open_slide(slide) as opened:
        tissue = choose_tissue(opened, model.facts.mpp).rows(0, len(labels))
    window = 2 * model.patch_size[0]
    return labels, tissue, {"classes": list(model.classes), "mpp": float(model.facts.mpp), "window": window}


def polygons(path: Path, mpp: float, tissue_mm2: float, labelled_mm2: float) -> dict[str, Any]:
    """Size of a GeoJSON (MB), its polygons, how many are invalid, and their areas over the tissue's and the label map's.

    Args:
        path: of the GeoJSON, in px of level 0.
        mpp: µm/px of level 0.
        tissue_mm2: area of the tissue.
        labelled_mm2: area that has a class in the label map they are made from.
    """
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    shapes = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    area = float(shapely.area(shapes).sum()) * mpp**2 * 1e-6
    return {
        "geojson_mb": round(path.stat().st_size / 1e6, 2),
        "polygons": len(shapes),
        "invalid": int((~shapely.is_valid(shapes)).sum()),
        "areas_of_tissue": round(area / float(tissue_mm2), 4),
        "areas_of_labels": round(area / float(labelled_mm2), 4),
    }


def agreement(ours: np.ndarray, theirs: np.ndarray, tissue: np.ndarray, num_classes: int) -> float:
    """Share of the pixels of tissue, to which ours gives a class, that both label maps give the same.

    Args:
        ours: label map ``(H, W)``; ``num_classes`` and above are no classes.
        theirs: the same grid, up to a pixel at the lower and right edges.
        tissue: where tissue is.
        num_classes: number of classes.
    """
    if max(abs(a - b) for a, b in zip(ours.shape, theirs.shape, strict=True)) > 1:
        raise ValueError(f"label maps of {ours.shape} and {theirs.shape} px")
    height, width = np.minimum(ours.shape, theirs.shape)
    ours, theirs, tissue = (found[:height, :width] for found in (ours, theirs, tissue))
    counted = tissue & (ours < num_classes)
    return round(float((ours == theirs)[counted].mean()), 4)


def layout(runs: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = [
        "tool", "CPU s", "in the network", "Mpx seen", "peak GB", "GeoJSON MB", "polygons", "invalid", "areas / tissue",
        "areas / label map", "alike",
    ]  # fmt: skip
    return header, [
        [
            name, f"{r['cpu_seconds']:.1f}", f"{r['network_seconds']:.1f}", f"{r['megapixels_seen']:.1f}",
            f"{r['peak_gb']:.2f}", f"{r['geojson_mb']:.1f}", f"{r['polygons']:,}", str(r["invalid"]),
            f"{100 * r['areas_of_tissue']:.1f} %", f"{100 * r['areas_of_labels']:.1f} %",
            f"{100 * r['agreement']:.1f} %" if "agreement" in r else "",
        ]
        for name, r in runs.items()
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
