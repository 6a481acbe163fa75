"""How few labels are enough: mIoU after some of the labels, chosen at random and by what the bundle suggests.

    python benchmarks/label_curve.py --dataset glas --source GLAS --work WORK --seeds 0 1 2

The patches do not overlap, as a person would label them. All runs of a seed share the split. Those at random are one order
of the patches, cut off. The suggested ones are what label.yaml chooses, and in each further round suggest.yaml of the rest.
Either network sees 4 epochs of the labelled patches, and at least 1500 patches. Runs that are finished in WORK, or that the
record has, are taken as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accuracy import read_dataset
from harness import print_table, record
from label_curve_table import curve_figure, summarise
from scripts import BUNDLE_ROOT
from scripts.core.atomic import write_json
from scripts.core.images import image_size, read_image
from scripts.data import read_datalist
from scripts.labelling.looks import Onlooker, batched
from scripts.labelling.spread import choose_spread
from scripts.networks import EfficientNetLite0

CONFIGS = Path(BUNDLE_ROOT) / "configs"
SECTIONS = ("training", "validation", "test")
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
EPOCHS, SEEN = 4, 1500  # of the labelled patches; patches that either network sees at least
EVALUATE = {"layers": ["fused"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, print the table, write record and figure; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="name of a dataset config: glas, wsss4luad, ...")
    parser.add_argument("--source", required=True, help="its raw data")
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES), help="of the labels")
    parser.add_argument(
        "--prepare", default="{stride: 112}", help="settings of the preparation, YAML (default: %(default)s)"
    )
    parser.add_argument("--limit", type=float, default=float("inf"), help="start no further run after so many minutes")
    parser.add_argument("--out", type=Path, help="JSON; the figure goes beside it (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    out = options.out or Path(__file__).parent / "results" / f"label_curve_{options.dataset}.json"
    runs = {_key(r): r for r in (json.loads(out.read_text())["results"]["runs"] if out.is_file() else [])}
    start, failed = time.monotonic(), []
    for seed in options.seeds:
        study = Study(options, seed)
        for job in study.jobs(options.shares):
            if _key({**job, "seed": seed}) in runs:
                continue
            if (time.monotonic() - start) / 60 > options.limit:
                print(f"left for the next call: {job}, seed {seed}", file=sys.stderr)
                continue
            try:
                runs[_key({**job, "seed": seed})] = study.run(**job)
            except (subprocess.CalledProcessError, FileNotFoundError) as error:
                failed.append(f"{job}, seed {seed}: {error}")
                continue
            _write(out, options, list(runs.values()))
    if runs:
        print_table(*_write(out, options, list(runs.values())))
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


class Study:
    """All runs of one seed.

    Args:
        options: of the command line.
        seed: of the split, the random order, and the trainings.
    """

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        self.dataset, self.source, self.seed = options.dataset, options.source, seed
        self.folder = options.work / "label_curve" / options.dataset / str(seed)
        self.prepare = options.prepare
        self.data = self.folder / "data"
        if not (self.data / "datalist.json").is_file():
            self._bundle("prepare", self.folder / "prepare.txt", source=self.source, dataset_dir=self.data,
                         prepare={**_prepare(self.dataset), **_yaml(self.prepare), "seed": seed})  # fmt: skip
        self.entries = read_datalist(self.data, "training")
        self.content = json.loads((self.data / "datalist.json").read_text(encoding="utf-8"))

    def jobs(self, shares: Sequence[float]) -> list[dict[str, Any]]:
        """What is to be run: with all labels, both choices are one."""
        some = sorted(s for s in shares if s < 1)
        jobs = [{"choice": choice, "share": share} for share in some for choice in ("random", "suggested")]
        if 1.0 in shares:
            jobs += [{"choice": "all", "share": 1.0}, {"choice": "full supervision", "share": 1.0}]
        return jobs

    def run(self, choice: str, share: float) -> dict[str, Any]:
        """Train on a share of the labels and score it."""
        numbers = self._chosen(choice, share)
        folder = self.folder / choice.replace(" ", "_") / f"{share:g}"
        epochs = max(EPOCHS, round(SEEN / len(numbers)))
        training = {"max_epochs": epochs, "val_interval": epochs}
        recipe = {"recipe": "fully_supervised"} if choice == "full supervision" else {}
        evaluate = {} if recipe else {"evaluate": EVALUATE}
        if not (folder / "evaluate" / "metrics.json").is_file():
            self._datalist(numbers, folder / "data")
            self._bundle(
                "pipeline", folder / "log.txt", dataset_dir=folder / "data", output_dir=folder, seed=self.seed,
                overrides={"train_classifier": training, "train": training, **evaluate}, **recipe,
            )  # fmt: skip
        scores = json.loads((folder / "evaluate" / "metrics.json").read_text())["scores"]
        history = json.loads((folder / "train" / "history.json").read_text())
        ap = json.loads((folder / "models" / "classifier.json").read_text())["scores"]
        print(f"{choice} {share:g}, seed {self.seed}: {scores['segmenter + gate']['miou']:.4f}", file=sys.stderr, flush=True)
        labels = np.array([self.entries[k]["label"] for k in numbers])
        return {
            "choice": choice, "share": share, "seed": self.seed, "labels": len(numbers), "epochs": epochs,
            "patches_by_class": dict(zip(self.content["classes"], labels.sum(axis=0).tolist(), strict=True)),
            "mean_ap": ap.get("mean_ap"), "validation": history[-1], "scores": scores,
        }  # fmt: skip

    def _chosen(self, choice: str, share: float) -> list[int]:
        """Numbers of the patches that are labelled."""
        count = max(2, round(share * len(self.entries)))
        if choice not in ("random", "suggested"):
            return list(range(len(self.entries)))
        if choice == "random":
            return np.random.default_rng(self.seed).permutation(len(self.entries))[:count].tolist()
        kept = self.folder / "suggested" / f"{share:g}.json"
        if not kept.is_file():
            smaller = [s for s in SHARES if s < share]
            before = self._chosen(choice, smaller[-1]) if smaller else []
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, [*before, *self._suggested(before, count - len(before))])
        return json.loads(kept.read_text())

    def _suggested(self, labelled: list[int], count: int) -> list[int]:
        left = sorted(set(range(len(self.entries))) - set(labelled))
        groups = [self.entries[k]["group"] for k in left]
        chosen = choose_spread(self.features[left], groups, count, alike=1.0, seed=self.seed, progress=False)
        return [left[k] for k in chosen.numbers]

    @cached_property
    def features(self) -> np.ndarray:
        """``(N, D)`` of all patches, of a backbone that has seen no label of them."""
        size = image_size(self.entries[0]["image"])
        patches = batched((read_image(entry["image"]) for entry in self.entries), size)
        return Onlooker(EfficientNetLite0(output_stride=16))(patches).features

    def _datalist(self, numbers: Sequence[int], folder: Path) -> None:
        """A prepared dataset of some of the training patches; its other sections are those of all."""
        content = dict(self.content)
        content["training"] = [content["training"][k] for k in numbers]
        for name in (e[k] for s in SECTIONS for e in content.get(s, []) for k in ("image", "mask") if e.get(k)):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            os.link(self.data / name, target)
        write_json(folder / "datalist.json", content)

    def _bundle(self, config: str, log: Path, **settings: Any) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        files = [str(CONFIGS / f"{config}.yaml"), str(CONFIGS / f"{self.dataset}.yaml")]
        words = [w for k, v in settings.items() for w in (f"--{k}", str(v))]
        command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files), *words]
        with log.open("a", encoding="utf-8") as file:
            subprocess.run(command, check=True, stdout=file, stderr=subprocess.STDOUT, env={**os.environ})


def _prepare(dataset: str) -> dict[str, Any]:
    return dict(read_dataset(dataset).get("prepare", {}))


def _yaml(text: str) -> dict[str, Any]:
    return yaml.safe_load(text) or {}


def _key(run: Mapping[str, Any]) -> tuple[str, float, int]:
    return run["choice"], float(run["share"]), int(run["seed"])


def _write(out: Path, options: argparse.Namespace, runs: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Record and figure; header and rows of the table."""
    runs = sorted(runs, key=lambda r: (r["share"], r["choice"], r["seed"]))
    settings = {"dataset": options.dataset, "prepare": options.prepare, "epochs": EPOCHS, "seen": SEEN}
    table = summarise(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    record(out, "label_curve", settings, {"runs": runs, "table": table}, torch.device("cpu"))
    curve_figure(table, out.with_suffix(".png"), read_dataset(options.dataset)["dataset"]["name"])
    header = ["labels", "chosen", "mIoU", "FwIoU", "runs"]
    rows = [[f"{r['share']:.0%} ({r['labels']})", r["choice"], r["miou"], r["fwiou"], str(r["runs"])] for r in table]
    return header, rows


if __name__ == "__main__":
    sys.exit(main())
