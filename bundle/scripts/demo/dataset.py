"""Writes the demo dataset: drawn tissue in the folder layout of LUAD-HistoSeg."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.atomic import write_json
from ..core.facts import DatasetFacts
from ..core.image_writers import write_image, write_mask
from .tissue import draw_tissue

__all__ = ["DEMO_FACTS", "DEMO_NAME", "MIN_SHARE", "image_level_label", "write_demo_dataset"]

#: Classes of LUAD-HistoSeg; drawn at about 1 µm/px.
DEMO_FACTS = DatasetFacts(
    name="demo tissue",
    classes=("TE", "NEC", "LYM", "TAS"),
    white_background=True,
    mpp=1.0,
    descriptions=("tumour epithelium", "necrosis", "lymphocyte", "tumour-associated stroma"),
)
#: File that a complete demo dataset ends with: the settings it was drawn with.
DEMO_NAME = "demo.json"
#: Share of a patch's pixels that a class must exceed to be in its image-level label.
MIN_SHARE = 0.03
_VERSION = 1  # of the drawings; another one means that the same settings draw other images
_SPLITS = ("train", "val", "test")
_GRID = {"train": 6, "val": 2, "test": 2}  # patches along one side of a slide
_KEEP = 22  # training patches taken from a slide, at most
_REGION = {
    "train": 1.2,
    "val": 1 / 3,
    "test": 1 / 3,
}  # size of regions over that of a patch: large ones give single classes
_MAX_WHITE = 0.6  # patches with a larger share of white are left out where others can be had


def image_level_label(mask: np.ndarray, num_classes: int = 4, min_share: float = MIN_SHARE) -> list[int]:
    """Image-level label of a mask: 1 for each class that covers more than ``min_share`` of the pixels.

    Args:
        mask: ``(H, W)`` class indices; other values (white) are no class.
        num_classes: length of the label.
        min_share: in 0..1, of all pixels, white included.

    Returns:
        0 or 1 per class; the largest class alone where none exceeds the share and there is any.
    """
    count = np.bincount(mask.ravel(), minlength=num_classes)[:num_classes]
    label = (count > min_share * mask.size).astype(int)
    if not label.any() and count.any():
        label[count.argmax()] = 1
    return label.tolist()


def _corners(mask: np.ndarray, size: int, keep: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Where a slide is cut: patches that do not overlap, half of them of a single class where there are enough.

    Args:
        mask: ``(H, W)`` classes of the slide.
        size: side of a patch in px.
        keep: number of patches.
        rng: order of equals.

    Returns:
        ``keep`` upper left corners (y, x); fewer where the slide is too crowded for more.
    """
    queues: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    steps = range(0, mask.shape[0] - size + 1, max(size // 4, 1))
    for y, x in rng.permutation([(y, x) for y in steps for x in steps]).tolist():
        patch = mask[y : y + size, x : x + size]
        label = tuple(image_level_label(patch))
        if sum(label) <= 3 and (patch == DEMO_FACTS.white_value).mean() <= _MAX_WHITE:
            queues.setdefault(label, []).append((y, x))
    taken = np.zeros(mask.shape, bool)
    used: Counter[tuple[int, ...]] = Counter()
    corners: list[tuple[int, int]] = []

    def take(labels: list[tuple[int, ...]]) -> bool:
        for label in sorted(labels, key=lambda k: (used[k], k)):
            while queues[label]:
                y, x = queues[label].pop()
                if not taken[y : y + size, x : x + size].any():
                    taken[y : y + size, x : x + size] = True
                    used[label] += 1
                    corners.append((y, x))
                    return True
        return False

    single, mixed = ([k for k in sorted(queues) if (sum(k) == 1) is wanted] for wanted in (True, False))
    while len(corners) < keep:
        found = [take(kind) for kind in (single, mixed, single) if len(corners) < keep]
        if not any(found):
            break
    return corners or [(0, 0)]


def _patches(split: str, slide: int, size: int, seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Draw one slide, from its own child seed, and cut it: (name, RGB, mask) of each patch."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SPLITS.index(split), slide)))
    side = _GRID[split] * size
    rgb, mask = draw_tissue(rng, (side + side % 2,) * 2, region=_REGION[split] * size)
    if split == "train":
        corners = _corners(mask, size, _KEEP, rng)
    else:
        corners = [(y * size, x * size) for y in range(_GRID[split]) for x in range(_GRID[split])]
    boxes = [(slice(y, y + size), slice(x, x + size)) for y, x in corners]
    return [(f"{split}{slide:03d}-{y}-{x}", rgb[box], mask[box]) for (y, x), box in zip(corners, boxes, strict=True)]


def _stream(split: str, count: int, size: int, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    slide = 0
    while count > 0:
        patches = _patches(split, slide, size, seed)[:count]
        yield from patches
        count -= len(patches)
        slide += 1


def _write_split(folder: Path, split: str, count: int, size: int, seed: int, bar: tqdm) -> None:
    for name, rgb, mask in _stream(split, count, size, seed):
        if split == "train":
            label = " ".join(map(str, image_level_label(mask)))
            image_path = folder / "train" / f"{name}-[{label}].png"
            mask_path = folder / "train_mask" / image_path.name
        else:
            image_path = folder / split / "img" / f"{name}.png"
            mask_path = folder / split / "mask" / f"{name}.png"
        write_image(image_path, rgb)
        write_mask(mask_path, mask, DEMO_FACTS)
        bar.update()


def write_demo_dataset(
    target: str | Path,
    seed: int = 0,
    num_train: int = 960,
    num_val: int = 20,
    num_test: int = 20,
    patch_size: int = 112,
    image_size: int | None = None,
    progress: bool = True,
) -> Path:
    """Draw a dataset in the layout of LUAD-HistoSeg.

    ``train/<slide>-<y>-<x>-[1 0 0 1].png`` (patches with their image-level label), ``train_mask/`` (their masks, which
    no training may see), and ``img/`` and ``mask/`` under ``val/`` and ``test/``. The splits come from different
    slides. A dataset of fewer images holds the first images of a larger one with the same seed and sizes.

    Args:
        target: folder to make; it appears when it is complete. Nothing is done where it is already there with the same
            settings.
        seed: draws another dataset.
        num_train: training patches.
        num_val: validation images.
        num_test: test images.
        patch_size: side of a training patch in px, at least 32.
        image_size: side of a validation or test image in px, at least 32; twice the patch by default.
        progress: whether to show a progress bar.

    Returns:
        ``target``.

    Raises:
        FileExistsError: ``target`` holds something else.
        ValueError: a number is out of range.
    """
    target = Path(target)
    image_size = 2 * patch_size if image_size is None else image_size
    counts = {"train": num_train, "val": num_val, "test": num_test}
    numbers = {"seed": seed, "num_train": num_train, "num_val": num_val, "num_test": num_test}
    settings: dict[str, Any] = {"version": _VERSION, **numbers, "patch_size": patch_size, "image_size": image_size}
    for name, value in settings.items():
        least = 32 if name.endswith("_size") else 0
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}: expected an integer of at least {least}, found {value!r}")
    if _complete(target, settings):
        return target

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-writing-", dir=target.parent))
    try:
        folder.chmod(0o755)  # mkdtemp's are private
        with tqdm(total=sum(counts.values()), desc="demo tissue", unit="image", disable=not progress) as bar:
            for split, count in counts.items():
                parts = ("train", "train_mask") if split == "train" else (f"{split}/img", f"{split}/mask")
                for part in parts:
                    (folder / part).mkdir(parents=True)
                _write_split(folder, split, count, patch_size if split == "train" else image_size, seed, bar)
        write_json(folder / DEMO_NAME, settings)
        folder.replace(target)  # an empty folder may stand there, another one not
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _complete(target: Path, settings: dict[str, Any]) -> bool:
    """Whether ``target`` is this dataset; an error if it is something else."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    try:
        found = json.loads((target / DEMO_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != settings:
        what = f"a demo dataset with {found}" if isinstance(found, dict) else "something that is no demo dataset"
        raise FileExistsError(f"{target}: found {what}, expected {settings}; remove the folder or name another")
    return True
