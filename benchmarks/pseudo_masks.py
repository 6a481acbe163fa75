"""Speed of pseudo masks: this bundle's against one forward and one full backward pass per patch, class and layer.

The plain scheme is the published program's, written out here: for each patch, each of four classes and each of three layers,
a forward pass, a backward pass of the class logit down to the image with the gradients of all weights, and a Grad-CAM from
what hooks kept. This bundle runs as it does for a user: ``generate_pseudo_masks`` from files to files, summary included; on
a CPU once more with PyTorch's own 3x3 convolutions in place of Winograd's, to tell what these gain by themselves. The
networks are ResNet-38 as published, with weights drawn by seed: speed does not depend on them.

    python benchmarks/pseudo_masks.py --out benchmarks/results/pseudo_masks.json
"""

from __future__ import annotations

import argparse
import copy
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from harness import alternate, median_rate, print_table, record
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.core.images import read_mask
from scripts.core.names import pseudo_mask_paths
from scripts.networks.classifier import TissueClassifier
from scripts.networks.resnet38 import ResNet38
from scripts.pseudo_masks.generate import generate_pseudo_masks
from scripts.pseudo_masks.masker import PseudoMasker

LAYERS = ("b4_5", "b5_2", "bn7")
CLASSES = 4
# number of present classes per patch: half of LUAD-HistoSeg's patches show one tissue; of the others, most show two
MULTI = {2: 0.75, 3: 0.21, 4: 0.04}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of a patch in px (default 224)")
    parser.add_argument("--patches", type=int, default=24, help="multi-class patches per turn of this bundle (default 24)")
    parser.add_argument("--plain-patches", type=int, default=2, help="patches per turn of the plain scheme (default 2)")
    parser.add_argument("--batch-size", type=int, default=8, help="patches per forward pass of this bundle (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant (default 3)")
    parser.add_argument("--width", type=float, default=1.0, help="factor of ResNet-38's channels (default 1)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/pseudo_masks.json", help="JSON record")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    classifier = TissueClassifier(ResNet38(width=options.width, frozen=(), frozen_norm=False), CLASSES).eval().to(device)
    facts = DatasetFacts(classes=tuple("abcd"))
    counts = rng.permutation(np.repeat(list(MULTI), np.round([options.patches * s for s in MULTI.values()]).astype(int)))
    counts = np.concatenate([counts, np.ones_like(counts)])
    images = smooth_noise(rng, len(counts), options.size)
    labels = np.stack([np.isin(np.arange(CLASSES), rng.permutation(CLASSES)[:n]) for n in counts]).astype(int)
    # evenly among the multi-class patches by their number of classes; the others take the plain scheme as long
    several = np.argsort(counts[: len(counts) // 2], kind="stable")
    chosen = several[np.linspace(0, len(several) - 1, options.plain_patches).round().astype(int)]

    masker = PseudoMasker(classifier.to(memory_format=torch.channels_last), LAYERS, facts, device=device)
    direct = None
    if masker.classifier is not classifier:  # a copy in which Winograd's convolutions serve
        direct = copy.copy(masker)
        direct.classifier = classifier

    with tempfile.TemporaryDirectory() as folder:
        entries = []
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = Path(folder) / f"{index}.png"
            Image.fromarray(image).save(path)
            entries.append({"image": str(path), "label": label.tolist(), "name": str(index)})

        def ours(masker: PseudoMasker, entries: list[dict], name: str = "pseudo_masks") -> None:
            target = Path(folder) / name
            shutil.rmtree(target, ignore_errors=True)
            generate_pseudo_masks(masker, entries, target, "benchmark", options.batch_size, progress=False)

        def masks(name: str, indices: Iterable[int]) -> np.ndarray:
            paths = [pseudo_mask_paths(Path(folder) / name, LAYERS, str(i)) for i in indices]
            return np.stack([[read_mask(p) for p in three] for three in paths])

        def plain() -> np.ndarray:
            return np.stack([plain_masks(contiguous, images[i], labels[i], device) for i in chosen])

        contestants = {
            "plain, 12 passes": plain,
            **({"multi, no Winograd": lambda: ours(direct, entries[: len(several)], "direct")} if direct else {}),
            "multi": lambda: ours(masker, entries[: len(several)]),
            "mix": lambda: ours(masker, entries),
        }
        contestants["mix"]()
        memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory()  # of this bundle alone
        contiguous = copy.deepcopy(classifier).to(memory_format=torch.contiguous_format)
        seconds = alternate(contestants, options.rounds, device)
        # the last turn's files are those of the mix
        differing = {"plain, 12 passes": compared(masks("pseudo_masks", chosen), plain())}
        if direct:
            differing["no Winograd"] = compared(*(masks(name, range(len(several))) for name in ("pseudo_masks", "direct")))
    rate = median_rate(seconds["plain, 12 passes"], len(chosen))
    multi = {"plain, 12 passes": rate, "this bundle": median_rate(seconds["multi"], len(several))}
    if direct:
        multi["no Winograd"] = median_rate(seconds["multi, no Winograd"], len(several))
    mix = {"plain, 12 passes": rate, "this bundle": median_rate(seconds["mix"], len(entries))}
    rows = [
        [name, *(f"{rates[c]:.3f}" for c in mix), f"{rates['this bundle'] / rates['plain, 12 passes']:.1f}x"]
        for name, rates in (("multi-class patches", multi), ("half of them single-class", mix))
    ]
    print_table(["patches per second", *mix, "ratio"], rows)
    if direct:
        gain = multi["this bundle"] / multi["no Winograd"]
        print(f"multi-class patches without Winograd's convolutions {multi['no Winograd']:.3f} /s: these gain {gain:.2f}x")
    for name, found in differing.items():
        print(f"pixels of another class than by {name}: {found['pixels']:,} of {found['of']:,}")
    print(f"peak memory {memory / 1e9:.2f} GB")
    results = {
        "seconds": seconds, "patches_per_second": {"multi": multi, "mix": mix},
        "differing": differing, "peak_memory_bytes": memory,
    }  # fmt: skip
    record(options.out, "pseudo_masks", vars(options), results, device)


def compared(found: np.ndarray, expected: np.ndarray) -> dict[str, int]:
    """How many pixels differ, of how many."""
    return {"pixels": int((found != expected).sum()), "of": expected.size}


def smooth_noise(rng: np.random.Generator, number: int, size: int) -> np.ndarray:
    """Images ``(N, size, size, 3)`` uint8 with structure at several scales."""
    total = np.zeros((number, size, size, 3))
    for cells in (4, 16, 64):
        coarse = torch.from_numpy(rng.standard_normal((number, 3, cells, cells)))
        fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
        total += fine.permute(0, 2, 3, 1).numpy()
    return np.clip(128 + 40 * total, 0, 255).astype(np.uint8)


def plain_masks(classifier: TissueClassifier, image: np.ndarray, label: np.ndarray, device: torch.device) -> np.ndarray:
    """``(L, H, W)``: twelve forward and full backward passes."""
    masks = []
    modules = dict(classifier.extractor.named_modules())
    for layer in LAYERS:
        kept: dict[str, torch.Tensor] = {}
        module = modules[layer]

        def keep(_module, _inputs, output, layer=layer, kept=kept):
            kept["map"] = output
            if layer != "bn7":
                output.register_hook(lambda gradient: kept.update(gradient=gradient))

        handle = module.register_forward_hook(keep)
        cams = []
        for k in range(CLASSES):
            batch = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).to(device).float() / 255
            classifier.zero_grad()
            feature = classifier.extractor(batch)[classifier.layer]
            if layer == "bn7":  # after its ReLU, which is no module
                kept["map"] = feature
                feature.register_hook(lambda gradient, kept=kept: kept.update(gradient=gradient))
            classifier.head(feature)[0, k].backward()
            weight = kept["gradient"].mean(dim=(2, 3), keepdim=True)
            cams.append((weight * kept["map"]).sum(dim=1, keepdim=True).detach())
        handle.remove()
        cam = torch.nn.functional.interpolate(torch.cat(cams, 1), size=image.shape[:2], mode="bilinear", align_corners=False)
        absent = torch.from_numpy(label == 0).to(device)[None, :, None, None]
        masks.append(cam.masked_fill(absent, float("-inf")).argmax(dim=1)[0].cpu().numpy())
    return np.stack(masks).astype(np.uint8)


def peak_memory() -> int:
    """Largest resident size of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
