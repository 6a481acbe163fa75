"""From raw data to a prepared dataset: a folder with ``datalist.json``."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core.arguments import arguments
from ..core.atomic import write_json
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.image_writers import write_image, write_mask
from ..core.images import read_image, read_mask
from .archives import is_archive, unpack
from .datalist import write_datalist
from .layouts import collect, known_layouts
from .rois import cut, find_rois, image_level_label, pad_to, rescale, split_rois

__all__ = ["prepare", "prepare_settings"]

logger = logging.getLogger(__name__)
_RECORD = "prepare.json"


def prepare(
    source: str | Path,
    target: str | Path,
    dataset: Mapping[str, Any] | None = None,
    layout: str = "rois",
    patch_size: int | Sequence[int] = 224,
    stride: int | None = None,
    scale: float = 1.0,
    label_threshold: float = 0.05,
    val_fraction: float = 0.15,
    test_fraction: float = 0.2,
    seed: int = 0,
    labels: str | None = None,
    group: str | None = None,
    image_folder: str = "images",
    mask_folder: str = "masks",
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Make a prepared dataset.

    Args:
        source: folder or archive of the raw data; an archive is unpacked beside ``target``.
        target: folder to make.
        dataset: facts (``classes``, ``palette``, ``white_background``, ...; see :class:`~scripts.core.DatasetFacts`). May be
            absent for ``patches`` with a table, whose columns are the classes, and for ``datalist``.
        layout: ``rois``: images and masks of regions, cut into patches. ``luad`` and ``bcss``: the published folders of
            LUAD-HistoSeg and BCSS-WSSS, used where they are. ``patches``: a folder of patches with labels in their names
            or in a table. ``datalist``: a MONAI datalist JSON.
        patch_size: side, or (height, width), of the patches cut from ROIs, in px after scaling.
        stride: step between patches in px; the patch's smaller side by default.
        scale: factor by which ROIs are resampled first.
        label_threshold: a class is in a patch's label if it fills more than this share of it.
        val_fraction: share of the ROIs (of the groups, for ``patches`` without a validation folder) for validation.
        test_fraction: share of the ROIs for the test.
        seed: seed of the split.
        labels: table of labels for ``patches``; ``labels.csv`` in the source if there is one.
        group: regular expression that finds the slide or case in a patch's path below the source: what it matches, or its
            group. Without it, a column of the table, subfolders or the names tell (see :func:`~.groups.assign_groups`).
        image_folder: name of the images' folder for ``rois``.
        mask_folder: name of the masks' folder for ``rois``.
        overwrite: replace a prepared dataset of other settings.
        progress: whether to show progress bars.

    Returns:
        Path of the datalist. If the target was prepared before from the same files with the same settings, nothing is
        done. ROIs that cannot be read are skipped.

    Raises:
        FileNotFoundError: no source.
        FileExistsError: the target holds something else.
        ValueError: settings or data that do not fit; the message says what.
        SystemExit: ROIs were skipped; the dataset of all others is written.
    """
    source, target = Path(source), Path(target)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    if layout not in known_layouts():
        raise ValueError(f"layout: expected one of {known_layouts()}, found {layout!r}")
    dataset = arguments(DatasetFacts, dataset or {}, "dataset")
    size = (patch_size, patch_size) if isinstance(patch_size, int) else tuple(int(v) for v in patch_size)
    if len(size) != 2 or min(size) < 8 or scale <= 0 or not 0 <= label_threshold < 1 or (stride or 1) < 1:
        raise ValueError(
            f"expected a patch of at least 8 px, a positive scale and stride and a label_threshold in [0, 1), found "
            f"patch_size {patch_size}, scale {scale}, stride {stride}, label_threshold {label_threshold}"
        )
    settings = {
        "dataset": dataset, "layout": layout, "patch_size": list(size), "stride": stride, "scale": scale,
        "label_threshold": label_threshold, "val_fraction": val_fraction, "test_fraction": test_fraction,
        "seed": seed, "labels": labels, "group": group, "source": _fingerprint(source),
    }  # fmt: skip
    datalist = target / DATALIST_NAME
    if _prepared(target, settings, overwrite):
        logger.info("%s is prepared already", datalist)
        return datalist
    if is_archive(source):
        source = unpack(source, target.parent / f"{target.name}-source")
    skipped: list[str] = []
    if layout == "rois":
        facts = DatasetFacts.from_dict(dataset, "dataset")
        # a pixel of a patch is as many µm as it takes after scaling
        facts = replace(facts, label_threshold=label_threshold, mpp=facts.mpp and facts.mpp / scale)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-preparing-", dir=target.parent))
        try:
            pairs = find_rois(source, image_folder, mask_folder)
            fractions = val_fraction, test_fraction
            skipped = _cut_rois(
                pairs, temporary, facts, size, stride or min(size), scale, label_threshold, fractions, seed, progress
            )
            write_json(temporary / _RECORD, settings)
            temporary.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    else:
        facts, sections, skipped = collect(layout, source, target, dataset, labels, val_fraction, seed, group)
        write_datalist(datalist, facts, sections)
        write_json(target / _RECORD, settings)
    _say(datalist)
    if skipped:
        what = "ROIs" if layout == "rois" else "files"
        raise SystemExit("\n".join([f"{len(skipped)} {what} were skipped, all others are in {target}:", *skipped]))
    return datalist


def prepare_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the preparation, as in the ``prepare`` section of a dataset's config, as arguments of :func:`prepare`.

    Raises:
        ValueError: a setting that there is not, the message names the nearest; or a switch that is neither ``True`` nor
            ``False``.
    """
    return arguments(prepare, settings, "prepare", taken=("source", "target", "dataset"))


def _cut_rois(
    pairs: Mapping[str, tuple[Path, Path]],
    folder: Path,
    facts: DatasetFacts,
    size: tuple[int, int],
    stride: int,
    scale: float,
    threshold: float,
    fractions: tuple[float, float],
    seed: int,
    progress: bool,
) -> list[str]:
    """Write patches of the training ROIs, and the whole ROIs of the others; return what was skipped."""
    skipped, pixels_of = [], {}
    for stem, (image_path, mask_path) in tqdm(pairs.items(), desc="read ROIs", disable=not progress):
        try:
            image, mask = read_image(image_path), read_mask(mask_path, facts.num_classes)
            if image.shape[:2] != mask.shape:
                raise ValueError(f"{mask_path}: found {mask.shape} px (H, W), its image has {image.shape[:2]}")
            pixels_of[stem] = {k: n for k in range(facts.num_classes) if (n := int((mask == k).sum()))}
        except (OSError, ValueError) as error:
            skipped.append(str(error))
    if not pixels_of:
        raise ValueError("no ROI could be read: " + "; ".join(skipped[:3]))
    split = split_rois(pixels_of, *fractions, seed)
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in split}
    places = {
        "training": ("train", "train_mask"),
        "validation": ("val/img", "val/mask"),
        "test": ("test/img", "test/mask"),
    }
    for section, stems in split.items():
        images, masks = places[section]
        for stem in tqdm(stems, desc=f"write {section}", disable=not progress):
            image, mask = rescale(read_image(pairs[stem][0]), read_mask(pairs[stem][1], facts.num_classes), scale)
            pieces = [((0, 0), image, mask)]
            if section == "training":
                image, mask = pad_to(image, mask, size, facts.white_value)
                corners = cut(mask.shape, size, stride)
                boxes = [(y, x, slice(y, y + size[0]), slice(x, x + size[1])) for y, x in corners]
                pieces = [((y, x), image[rows, columns], mask[rows, columns]) for y, x, rows, columns in boxes]
            for position, piece, truth in pieces:
                name = stem
                label = image_level_label(truth, facts.num_classes, threshold)
                if section == "training":
                    if not any(label):
                        continue
                    name += f"-{position[0]}-{position[1]}[{' '.join(map(str, label))}]"
                entry = {"image": f"{images}/{name}.png", "mask": f"{masks}/{name}.png", "label": label, "group": stem}
                if section == "training":
                    entry["position"] = list(position)
                write_image(folder / entry["image"], piece)
                write_mask(folder / entry["mask"], truth, facts)
                sections[section].append(entry)
    if not sections["training"]:
        raise ValueError(f"no patch has a class that fills more than {threshold} of it: lower label_threshold")
    write_datalist(folder / DATALIST_NAME, facts, sections)
    return skipped


def _prepared(target: Path, settings: Mapping[str, Any], overwrite: bool) -> bool:
    """Whether the target is this very dataset already."""
    try:
        record = json.loads((target / _RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (target / DATALIST_NAME).exists() and not overwrite:
            raise FileExistsError(
                f"{target} holds a datalist that was not made by prepare; choose another target, or set overwrite"
            ) from None
        return False
    except (OSError, ValueError):
        record = None
    if record == json.loads(json.dumps(settings)) and (target / DATALIST_NAME).is_file():
        return True
    if not overwrite:
        raise FileExistsError(
            f"{target} holds a dataset prepared from other files or with other settings; choose another target, or set "
            "overwrite to replace it"
        )
    return False


def _fingerprint(source: Path) -> str:
    """Digest of names and sizes of the source's files (not of their content, which may be many gigabytes)."""
    digest = hashlib.sha256(str(source.absolute()).encode())
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    for path in files:
        if path.name not in (DATALIST_NAME, _RECORD):  # ours, where target and source are the same folder
            name = path.relative_to(source) if path != source else ""
            digest.update(os.fsencode(name) + f"|{path.stat().st_size}".encode())
    return digest.hexdigest()


def _say(datalist: Path) -> None:
    content = json.loads(datalist.read_text(encoding="utf-8"))
    counts = {name: len(content[name]) for name in ("training", "validation", "test")}
    single = sum(sum(e["label"]) == 1 for e in content["training"])
    logger.info("%s: %s entries, %d training patches of a single class", datalist, counts, single)
