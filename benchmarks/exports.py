"""Networks of a trained model in every form: patches per second, and what whole numbers of 8 bits cost in mIoU.

    python benchmarks/exports.py --work WORK --datasets glas wsss4luad

The networks and datasets are those of benchmarks/accuracy.py under WORK/<dataset>/<seed>/default. What is timed is the gated
segmenter of inference on patches of training, one look at each, of the first dataset, contestants in turn on one thread;
exports are made in a temporary folder. Scores are of validation regions, scheme "fast", mixed precision off. The machine's
mean load over a minute is recorded before and after.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from harness import alternate, print_table, record
from inference import measure
from scripts.core.precision import prefers_bfloat16
from scripts.export import calibration_patches, in_form, known_patches, write_exports
from scripts.inference import load_model
from scripts.networks import GatedSegmenter
from scripts.weights import load_weights
from scripts.weights.description import FILES
from scripts.weights.files import Weights

FORMS = ("torchscript", "onnx", "onnx_int8")
NAMES = {"torchscript": "TorchScript, frozen", "onnx": "ONNX Runtime", "onnx_int8": "ONNX Runtime, int8"}
PLAIN, FOLDED, MIXED, COMPILED = "PyTorch", "PyTorch, folded", "PyTorch, folded, bfloat16", "torch.compile"


def main(arguments: Sequence[str] | None = None) -> int:
    """Export, measure, print both tables, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs of benchmarks/accuracy.py")
    parser.add_argument("--datasets", nargs="+", default=["glas", "wsss4luad"])
    parser.add_argument("--seed", type=int, default=0, help="run of WORK (default 0)")
    parser.add_argument(
        "--forms", nargs="+", choices=FORMS, default=list(FORMS), help="exports beside PyTorch (default all)"
    )
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant (default 7)")
    parser.add_argument("--calls", type=int, default=2, help="passes over 16 patches in a turn (default 2)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-scores", action="store_true", help="leave the mIoU out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "exports.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    load, results = [os.getloadavg()[0]], {"speed": {}, "scores": {}, "checks": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for number, dataset in enumerate(options.datasets):
            run, folder = options.work / dataset / str(options.seed), Path(scratch) / dataset
            weights = exported(run, folder, options.forms)
            results["checks"][dataset] = weights.pop("checks")
            if not options.no_scores:
                results["scores"][dataset] = scores(run, folder, options.forms)
            if number == 0:
                patches = known_patches(run / "data", 16, weights["segmenter"].description.patch_size)
                contestants = networks(weights, folder, not options.no_compile, options.forms)
                for size in options.batch_sizes:
                    results["speed"][size] = speed(contestants, patches, size, options.rounds, options.calls)
    load.append(os.getloadavg()[0])
    results["load"] = load
    show(results)
    settings = {k: v for k, v in vars(options).items() if k not in ("work", "out")}
    record(options.out, "exports", settings, results, torch.device("cpu"))
    return 0


def exported(run: Path, folder: Path, forms: Sequence[str] = FORMS) -> dict[str, Any]:
    """Weights of a run by their kinds, whose exports are written; ``checks`` of these."""
    models = run / "default" / "models"
    weights: dict[str, Any] = {kind: load_weights(models / FILES[kind], kind) for kind in ("segmenter", "classifier")}
    size = weights["segmenter"].description.patch_size
    calibration, patches = calibration_patches(run / "data", 64, size, seed=1), known_patches(run / "data", 32, size)
    checks = write_exports(folder, weights, patches, None, ("segmenter", "classifier"), forms, calibration)
    return {**weights, "checks": checks}


def networks(
    weights: dict[str, Weights], folder: Path, compiled: bool, forms: Sequence[str] = FORMS
) -> dict[str, torch.nn.Module]:
    """The gated segmenter in every form."""

    def gated(*parts: torch.nn.Module, amp: bool = False) -> torch.nn.Module:
        return GatedSegmenter(*parts, gate_threshold=0.1, amp=amp).eval()

    both = [weights["segmenter"], weights["classifier"]]
    folded = [in_form(w) for w in both]
    found = {PLAIN: gated(*(w.network for w in both)), FOLDED: gated(*folded)}
    if prefers_bfloat16("cpu"):
        found[MIXED] = gated(*folded, amp=True)
    if compiled:
        found[COMPILED] = gated(*folded)
        found[COMPILED].compile()
    for form in forms:
        found[NAMES[form]] = gated(*(in_form(w, form, folder) for w in both))
    return found


def speed(
    contestants: dict[str, torch.nn.Module], patches: torch.Tensor, size: int, rounds: int, calls: int
) -> dict[str, dict[str, Any]]:
    """Patches per second of each, in batches of a size."""
    batches = [batch.contiguous(memory_format=torch.channels_last) for batch in patches.split(size)]

    def passes(network: torch.nn.Module) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode():
                for batch in batches * calls:
                    network(batch)

        return run

    functions, failed = {}, {}
    for name, network in contestants.items():
        try:
            passes(network)()  # compilers compile
            passes(network)()
            functions[name] = passes(network)
        except Exception as error:  # torch.compile needs a compiler that not every machine has
            failed[name] = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"[:200]}
    seconds = alternate(functions, rounds, torch.device("cpu"))
    count = len(patches) * calls
    return {n: {"seconds": s, "patches_per_second": count / statistics.median(s)} for n, s in seconds.items()} | failed


def scores(run: Path, folder: Path, forms: Sequence[str] = FORMS) -> dict[str, dict[str, float]]:
    """mIoU and FwIoU of the validation regions in each form."""
    found = {}
    for form in ("pytorch", *forms):
        model = load_model(run / "default/models", "cpu", quality="fast", amp=False, form=form, export_dir=str(folder))
        found[form] = measure(model, run / "data", "validation")
        print(f"{run.parent.name} {form}: {found[form]}", file=sys.stderr, flush=True)
    return found


def speed_rows(speed: Mapping[Any, Mapping[str, Any]]) -> list[list[str]]:
    """A row for each contestant: patches per second at each batch size, and how many times those of PyTorch that is."""

    def cell(found: Mapping[str, Any], name: str) -> str:
        if "failed" in found[name]:
            return "failed"
        rate = found[name]["patches_per_second"]
        return f"{rate:.1f} ({rate / found[PLAIN]['patches_per_second']:.2f}x)"

    return [[name, *(cell(found, name) for found in speed.values())] for name in next(iter(speed.values()))]


def score_rows(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    """A row for each form: mIoU and FwIoU on each dataset, in percent."""
    forms = next(iter(scores.values()), {})
    return [
        [form, *(f"{found[form]['miou']:.1f}, {found[form]['fwiou']:.1f}" for found in scores.values())] for form in forms
    ]


def show(results: dict[str, Any]) -> None:
    """Print both tables."""
    print_table(["patches per second", *(f"batch {size}" for size in results["speed"])], speed_rows(results["speed"]))
    if results["scores"]:
        print_table(["validation", *(f"{name}: mIoU, FwIoU" for name in results["scores"])], score_rows(results["scores"]))
    print("load before and after: " + ", ".join(f"{value:.1f}" for value in results["load"]))


if __name__ == "__main__":
    sys.exit(main())
