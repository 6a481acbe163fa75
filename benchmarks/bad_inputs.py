"""What becomes of bad inputs: the right value, one clear message, or a fault.

    python benchmarks/bad_inputs.py

Every pixel type of every image format, and drawn damage to images, masks, tables, datalists, dataset files, settings,
weights, their descriptions, published parameters, archives and states of stages. Each input is read in a process of its
own, with bounded memory and time. Faults are: another value without a word, a sound input that is refused, a message that
does not name the file, a traceback, more than 30 s or 3 GB, and litter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bad_files import damaged_files
from bad_images import damaged_images, pixel_types, warm_up
from damage import FAULTS, REFUSED, RIGHT, UNNOTICEABLE, Case, outcome
from harness import print_table, record
from tqdm import tqdm

__all__ = ["cases", "run"]


def cases(count: int, seed: int) -> Iterator[Case]:
    """``count`` inputs with drawn damage, half of them images, after all pixel types."""
    rng = np.random.default_rng(seed)
    return chain(pixel_types(rng), damaged_images(rng, count // 2), damaged_files(rng, count - count // 2))


def run(count: int, seed: int, share: float = 1.0, progress: bool = True) -> tuple[dict[str, Counter], list[dict[str, str]]]:
    """Outcomes by kind, and the faults.

    Args:
        count: inputs with drawn damage.
        seed: seed of the damage.
        share: share of the inputs that are tried, drawn.
        progress: whether to show a progress bar.
    """
    with tempfile.TemporaryDirectory() as folder:
        warm_up(Path(folder))
    chosen = np.random.default_rng(seed + 1)
    table: dict[str, Counter] = {}
    faults = []
    todo = [case for case in cases(count, seed) if chosen.random() < share]
    for case in tqdm(todo, desc="bad inputs", disable=not progress):
        result, text = outcome(case)
        table.setdefault(case.kind, Counter())[result] += 1
        if result in FAULTS:
            faults.append({"kind": case.kind, "damage": case.damage, "outcome": result, "text": text})
    return table, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1200, help="inputs with drawn damage (default: 1200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    parser.add_argument("--out", default="benchmarks/results/bad_inputs.json", help="record")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # forked processes do not take threads with them
    table, faults = run(arguments.count, arguments.seed)
    outcomes = [RIGHT, REFUSED, UNNOTICEABLE, *FAULTS]
    rows = [[kind, sum(counts.values()), *(counts[o] or "-" for o in outcomes)] for kind, counts in sorted(table.items())]
    total = sum(table.values(), Counter())
    print_table(["input", "tried", *outcomes], [*rows, ["all", sum(total.values()), *(total[o] or "-" for o in outcomes)]])
    for fault in faults:
        print(f"{fault['outcome']}: {fault['kind']}: {fault['damage']}: {fault['text']}")
    settings = {"count": arguments.count, "seed": arguments.seed}
    record(arguments.out, "bad_inputs", settings, {"outcomes": table, "faults": faults}, torch.device("cpu"))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
