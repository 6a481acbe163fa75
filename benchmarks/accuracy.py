"""Recipes against each other on one dataset: the same splits, the same budget, several seeds.

    python benchmarks/accuracy.py --dataset glas --source GLAS --work WORK --recipes default fully_supervised --seeds 0 1 2

Each run is the pipeline in a process of its own, under WORK/<dataset>/<seed>/<recipe>. Runs that are finished in WORK, or
that the record (--out) has from before with the same configuration, are taken as they are, and the table has all of them, so
that a long one can be made in pieces. Stages that two recipes configure alike are computed once per seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from accuracy_recipes import BUDGET, RECIPES
from accuracy_table import figure, layout, markdown, summarise
from harness import print_table, record
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from scripts.core.atomic import write_json
from scripts.core.environment import git_commit
from scripts.core.recipes import config_files
from scripts.run.pipeline import STAGES, merge_overrides

CONFIGS = Path(BUNDLE_ROOT) / "configs"
#: Files that a stage leaves, relative to the run's folder; its record first.
OUTPUTS = {
    "train_classifier": ["train_classifier", "models/classifier.pt", "models/classifier.json"],
    "generate_pseudo_masks": ["generate_pseudo_masks", "pseudo_masks"],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, then print the table and write record and figure; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="name of a dataset config: glas, wsss4luad, luad, bcss, ...")
    parser.add_argument("--source", required=True, help="its raw data")
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--reference", choices=list(RECIPES), default="fully_supervised", help="what gaps are given to")
    parser.add_argument("--epochs", type=int, default=8, help="of either network (default: 8)")
    parser.add_argument("--overrides", help=f"overrides of the stages of every recipe, YAML; default: {json.dumps(BUDGET)}")
    parser.add_argument("--prepare", help='settings of the preparation, YAML: "{scale: 2, patch_size: 224, stride: 224}"')
    parser.add_argument("--limit", type=float, default=float("inf"), help="start no further run after so many minutes")
    parser.add_argument("--out", type=Path, help="JSON; the figure goes beside it (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    out = options.out or Path(__file__).parent / "results" / f"accuracy_{options.dataset}.json"
    everywhere = budget(options.epochs, BUDGET if options.overrides is None else yaml.safe_load(options.overrides))
    if options.prepare:
        everywhere["prepare"] = yaml.safe_load(options.prepare)
    before = recorded_runs(out, options.dataset, everywhere)
    if out.is_file() and (others := len(json.loads(out.read_text(encoding="utf-8"))["results"]["runs"]) - len(before)):
        print(f"{out}: {others} of its runs were configured otherwise, and drop out of it", file=sys.stderr)
    known = {(r["recipe"], r["seed"]) for r in before}
    alike = duplicates(options.dataset, everywhere)
    start, failed = time.monotonic(), []
    for seed in options.seeds:
        for name in options.recipes:
            if (name, seed) in known:
                continue
            if name in alike:
                print(f"{name}: on this dataset the same as a recipe before it", file=sys.stderr)
                continue
            folder = folder_of(options.work, options.dataset, seed, name)
            key = run_key(options.dataset, name, everywhere)
            if not _finished(folder, key) and (time.monotonic() - start) / 60 > options.limit:
                print(f"left for the next call: {name}, seed {seed}", file=sys.stderr)
                continue
            if not _finished(folder, key):
                print(f"{name}, seed {seed}: {folder}", file=sys.stderr, flush=True)
                run(options.dataset, options.source, folder, name, seed, everywhere)
            if not _finished(folder, key):
                failed.append(f"{name}, seed {seed}: see {folder / 'log.txt'}")
    runs = merge(before, finished_runs(options.work, options.dataset, everywhere))
    if runs:
        reference = options.reference if any(r["recipe"] == options.reference for r in runs) else None
        table = summarise(runs, reference)
        print_table(*layout(table))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(markdown(*layout(table)), encoding="utf-8")
        settings = {"dataset": options.dataset, "overrides": everywhere, "reference": reference}
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")  # as the stages choose
        record(out, "accuracy", settings, {"runs": runs, "table": table}, device)
        figure(runs, out.with_suffix(".png"), options.dataset)
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


def budget(epochs: int, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Overrides of the stages of every recipe: the epochs of both networks, and what else is given."""
    trained = {stage: {"max_epochs": epochs, **overrides.get(stage, {})} for stage in ("train_classifier", "train")}
    return {**{stage: dict(values) for stage, values in overrides.items()}, **trained}


def folder_of(work: Path, dataset: str, seed: int, recipe: str) -> Path:
    """Folder of a run; the prepared dataset lies beside it, in ``data``."""
    return work / dataset / str(seed) / recipe.replace(", ", "-").replace(" ", "_")


def finished_runs(work: Path, dataset: str, everywhere: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Measurements of all finished runs of a dataset that were configured as they would be now, by recipe as
    :data:`RECIPES` has them, then by seed."""
    seeds = sorted(int(folder.name) for folder in (work / dataset).glob("*") if folder.name.isdigit())
    alike = duplicates(dataset, everywhere)
    return [
        {"recipe": name, "seed": seed, **measured(folder)}
        for name in RECIPES
        if name not in alike
        for seed in seeds
        if _finished(folder := folder_of(work, dataset, seed, name), run_key(dataset, name, everywhere))
    ]


def recorded_runs(path: Path, dataset: str, everywhere: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Runs of an earlier record that were configured as they would be now."""
    if not path.is_file():
        return []
    runs = json.loads(path.read_text(encoding="utf-8"))["results"]["runs"]
    return [r for r in runs if r["recipe"] in RECIPES and r["key"] == run_key(dataset, r["recipe"], everywhere)]


def merge(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All runs, those of now in place of earlier ones, by recipe, then by seed."""
    runs = {(r["recipe"], r["seed"]): dict(r) for r in [*before, *now]}
    return [runs[k] for k in sorted(runs, key=lambda k: (list(RECIPES).index(k[0]), k[1]))]


def run_key(dataset: str, name: str, everywhere: Mapping[str, Any]) -> str:
    """Identifies all that a run is configured by, but for its seed."""
    recipe, _ = RECIPES[name]
    overrides = stage_overrides(dataset, name, everywhere)
    parser = ConfigParser({key: value for key, value in read_dataset(dataset).items() if key != "settings"})
    parser.update({f"prepare#{key}": value for key, value in everywhere.get("prepare", {}).items()})
    parts = [json.dumps(parser.config, sort_keys=True), *(_key(stage, recipe, overrides[stage]) for stage in STAGES)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def duplicates(dataset: str, everywhere: Mapping[str, Any]) -> set[str]:
    """Recipes that are on this dataset what one before them in :data:`RECIPES` is, as its settings make them so."""
    first: dict[str, str] = {}
    return {name for name in RECIPES if first.setdefault(run_key(dataset, name, everywhere), name) != name}


def read_dataset(dataset: str) -> dict[str, Any]:
    """The config of a dataset."""
    parser = ConfigParser()
    parser.read_config(str(CONFIGS / f"{dataset}.yaml"))
    return parser.config


def stage_overrides(dataset: str, name: str, everywhere: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Overrides of each stage: the dataset's settings, then those of every recipe, then the recipe's own."""
    layers = {stage: everywhere.get(stage, {}) for stage in STAGES}
    return merge_overrides(read_dataset(dataset).get("settings", {}), layers, RECIPES[name][1])


def run(dataset: str, source: str, folder: Path, name: str, seed: int, everywhere: Mapping[str, Any]) -> None:
    """One pipeline in a process of its own; its output goes to ``log.txt``, its peak memory to ``run.json``."""
    recipe, _ = RECIPES[name]
    overrides = stage_overrides(dataset, name, everywhere)
    folder.mkdir(parents=True, exist_ok=True)
    keys = {stage: _key(stage, recipe, overrides[stage]) for stage in OUTPUTS}
    before = json.loads((folder / "run.json").read_text()) if (folder / "run.json").is_file() else {}
    done = {"finished": False, "peak_gb": 0.0, "keys": keys, "key": run_key(dataset, name, everywhere)}
    if before.get("key") == done["key"]:
        done["peak_gb"] = before["peak_gb"]
    # from now on the folder holds no finished run of an earlier configuration
    write_json(folder / "run.json", done)
    share(folder, keys)
    command = [
        sys.executable, "-m", "monai.bundle", "run",
        "--config_file", str([str(CONFIGS / "pipeline.yaml"), str(CONFIGS / f"{dataset}.yaml")]),
        "--source", str(Path(source).absolute()), "--dataset_dir", str(folder.parent.absolute() / "data"),
        "--output_dir", str(folder.absolute()), "--progress", "False", "--seed", str(seed), "--prepare#seed", str(seed),
        *(word for key, value in everywhere.get("prepare", {}).items() for word in (f"--prepare#{key}", repr(value))),
        "--overrides", repr({k: v for k, v in overrides.items() if v}),  # MONAI reads Python, where JSON's false is a text
        *(["--recipe", recipe] if recipe else []),
    ]  # fmt: skip
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    done.update(finished=status == 0, peak_gb=max(peak, done["peak_gb"]), commit=git_commit())
    write_json(folder / "run.json", done)


def share(folder: Path, keys: Mapping[str, str]) -> None:
    """Link the outputs of stages that another recipe of the seed has configured alike; the pipeline checks them itself."""
    for stage, outputs in OUTPUTS.items():
        if (folder / stage).exists():
            continue
        for other in sorted(folder.parent.glob("*/run.json")):
            done = json.loads(other.read_text())
            if done["finished"] and all(done["keys"][s] == keys[s] for s in list(OUTPUTS)[: list(OUTPUTS).index(stage) + 1]):
                for output in reversed(outputs):  # the stage's record last: what it stands for is then there
                    source, target = other.parent / output, folder / output
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if source.is_dir():
                        shutil.rmtree(target, ignore_errors=True)
                        shutil.copytree(source, target, copy_function=os.link)
                    else:
                        target.unlink(missing_ok=True)
                        os.link(source, target)
                break


def measured(folder: Path) -> dict[str, Any]:
    """Scores of every method of a run, its minutes by stage (shared ones included), its peak memory in GB, the GPU that
    trained it (``None`` where none did, or where it is not known)."""
    stages = {stage: json.loads((folder / stage / "stage.json").read_text()) for stage in STAGES}
    done = json.loads((folder / "run.json").read_text())
    environment = folder / "train" / "environment.json"
    return {
        "scores": json.loads((folder / "evaluate" / "metrics.json").read_text())["scores"],
        "minutes": {stage: round(content["seconds"] / 60, 2) for stage, content in stages.items()},
        "peak_gb": round(done["peak_gb"], 2),
        "key": done["key"],
        "commit": done["commit"],
        "gpu": json.loads(environment.read_text()).get("gpu") if environment.is_file() else None,
    }


def _key(stage: str, recipe: str | None, overrides: Mapping[str, Any]) -> str:
    parser = ConfigParser()
    parser.read_config(config_files(stage, recipe))
    parser.update(dict(overrides))
    return json.dumps(parser.config, sort_keys=True, default=str)


def _finished(folder: Path, key: str) -> bool:
    if not (folder / "run.json").is_file():
        return False
    done = json.loads((folder / "run.json").read_text())
    return done["finished"] and done["key"] == key


if __name__ == "__main__":
    sys.exit(main())
