"""Datasets that are used where they are: published folders, folders of labelled patches, MONAI datalists."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from ..core.images import IMAGE_SUFFIXES, suffix
from .datalist import SECTIONS
from .labels import label_from_name, labels_from_csv
from .split import split_by_group

__all__ = ["collect", "known_layouts", "layout_file", "register_layout"]

_LAYOUTS = ("luad", "bcss", "patches", "datalist")
_TRAINING = ("train", "training")
_HELD = {"validation": ("val", "valid", "validation"), "test": ("test",)}
_MASKS = ("mask", "masks")

Sections = dict[str, list[dict[str, Any]]]
Layout = Callable[[Path, Mapping[str, Any]], tuple[DatasetFacts, Sections]]

_OWN: dict[str, Layout] = {}


def register_layout(name: str) -> Callable[[Layout], Layout]:
    """Decorator of a function that reads a layout of one's own; :func:`~.prepare.prepare` then knows it by ``name``.

    The function takes the source and the facts of the dataset as far as they are given (a mapping), and returns the facts
    and ``{"training": entries, "validation": entries, "test": entries}``. An entry has ``image`` (a path), in training
    ``label`` (0 or 1 for each class), and may have ``mask`` (a path), ``group`` (the slide or region it is from) and
    ``position`` (y, x in px). Without ``validation``, groups are held out of training.

    Raises:
        ValueError: the name is another layout's.
    """

    def decorate(function: Layout) -> Layout:
        other = _OWN.get(name)
        if name in ("rois", *_LAYOUTS) or (other is not None and other.__module__ != function.__module__):
            raise ValueError(f"there is a layout {name!r} already: choose another name")
        _OWN[name] = function
        return function

    return decorate


def known_layouts() -> list[str]:
    """Names of the layouts that :func:`~.prepare.prepare` takes."""
    return ["rois", *_LAYOUTS, *sorted(_OWN)]


def layout_file(name: str) -> Path | None:
    """Python file of a layout of one's own, which decides on what it makes; ``None`` for the bundle's."""
    function = _OWN.get(name)
    return None if function is None else Path(inspect.unwrap(function).__code__.co_filename)


def collect(
    layout: str,
    source: Path,
    target: Path,
    dataset: Mapping[str, Any],
    table: str | None,
    val_fraction: float,
    seed: int,
) -> tuple[DatasetFacts, Sections]:
    """Facts and datalist sections of a dataset; paths are relative to ``target`` where they are inside it.

    Args:
        layout: one of :func:`known_layouts` but ``rois``.
        source: folder of the dataset, or a datalist JSON.
        target: folder of the datalist.
        dataset: facts.
        table: CSV of labels, for ``patches``.
        val_fraction: share of the groups that validates where there is no validation folder.
        seed: seed of that split.

    Raises:
        FileNotFoundError: an expected folder is absent or empty.
        ValueError: labels that do not fit.
    """
    if layout == "datalist":
        return _datalist(source, target, dataset)
    if layout in _OWN:
        facts, sections = _OWN[layout](source, dataset)
        sections = {name: [dict(entry) for entry in sections.get(name, [])] for name in SECTIONS}
        return facts, _finished(sections, target, val_fraction, seed)
    if not source.is_dir():
        raise ValueError(f"{source}: found a file, expected a folder or an archive ({', '.join(_LAYOUTS)})")
    csv = Path(table) if table else source / "labels.csv"
    training = _first(source, _TRAINING) or (source if layout == "patches" else None)
    if training is None:
        raise FileNotFoundError(f"{source}: found no folder {' or '.join(_TRAINING)}, expected the published layout")
    if layout == "patches" and (table or csv.is_file()):
        facts, entries = _from_table(csv, training, source, dataset)
    else:
        facts = DatasetFacts.from_dict(dict(dataset), "dataset")
        entries = [{"image": p, "label": label_from_name(p, facts.num_classes)} for p in _images(training, layout)]
    for entry in entries:
        entry["group"] = _group(entry["image"])
        mask = source / "train_mask" / entry["image"].name
        if mask.is_file():
            entry["mask"] = mask
    sections: Sections = {"training": entries}
    for name, folders in _HELD.items():
        folder = _first(source, folders)
        sections[name] = [] if folder is None else _held(folder)
    if layout != "patches" and not sections["validation"]:
        raise FileNotFoundError(f"{source}: found no val folder with img and mask, expected the published layout")
    return facts, _finished(sections, target, val_fraction, seed)


def _finished(sections: Sections, target: Path, val_fraction: float, seed: int) -> Sections:
    """Sections with some of the training groups held out where nothing validates, and with relative paths."""
    entries = sections["training"]
    if not sections["validation"] and len(entries) > 1:
        # an entry without a group is one of its own
        named = [{**entry, "name": str(entry["image"])} for entry in entries]
        kept, held = split_by_group(named, val_fraction, seed)
        if kept != held:  # more than a single group
            sections["training"], sections["validation"] = ([_without_name(e) for e in part] for part in (kept, held))
    return {k: [_relative(e, target) for e in v] for k, v in sections.items()}


def _without_name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "name"}


def _from_table(
    csv: Path, folder: Path, source: Path, dataset: Mapping[str, Any]
) -> tuple[DatasetFacts, list[dict[str, Any]]]:
    classes, labels = labels_from_csv(csv, tuple(dataset.get("classes") or ()))
    facts = DatasetFacts.from_dict({**dataset, "classes": classes}, str(csv))
    entries = []
    for name, label in labels.items():
        found = [p for p in (csv.parent / name, folder / name, source / name) if p.is_file()]
        if not found:
            raise FileNotFoundError(f"{csv}: lists {name!r}, which is neither in {csv.parent} nor in {folder}")
        if not found[0].resolve().is_relative_to(csv.parent.resolve()) and not found[0].resolve().is_relative_to(
            source.resolve()
        ):
            raise ValueError(f"{csv}: {name!r} leaves the folder")
        entries.append({"image": found[0], "label": label})
    return facts, entries


def _datalist(source: Path, target: Path, dataset: Mapping[str, Any]) -> tuple[DatasetFacts, Sections]:
    path = source if source.is_file() else source / "datalist.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileNotFoundError(f"{path}: no readable datalist ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    facts = DatasetFacts.from_dict({**(content if isinstance(content, dict) else {}), **dataset}, str(path))
    sections: Sections = {}
    for name in SECTIONS:
        entries = content.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(e, dict) and e.get("image") for e in entries):
            raise ValueError(f"{path}: expected a list of objects with 'image' under {name!r}")
        sections[name] = []
        for entry in entries:
            entry = dict(entry)
            for key in ("image", "mask"):
                if entry.get(key):
                    file = Path(entry[key])
                    if not file.is_absolute() and not (path.parent / file).resolve().is_relative_to(path.parent.resolve()):
                        raise ValueError(f"{path}: {entry[key]!r} leaves the folder")
                    entry[key] = path.parent / file
            sections[name].append(_relative(entry, target))
    return facts, sections


def _held(folder: Path) -> list[dict[str, Any]]:
    """Images of ``img`` with the mask of the same stem under ``mask``, where there is one."""
    images = _first(folder, ("img", "images", "image")) or folder
    masks = _first(folder, _MASKS)
    found = {p.name[: -len(suffix(p))]: p for p in _images(masks)} if masks else {}
    entries = []
    for image in _images(images):
        entry: dict[str, Any] = {"image": image}
        mask = found.get(image.name[: -len(suffix(image))])
        if mask is not None:
            entry["mask"] = mask
        entries.append(entry)
    return entries


def _images(folder: Path, layout: str = "") -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and suffix(p) in IMAGE_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder}: no image found" + (f", expected the {layout} layout" if layout else ""))
    return files


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / n for n in names if (folder / n).is_dir()), None)


def _group(path: Path) -> str:
    """Slide or region of a patch: the part of its name before the first ``-``, or before the label without one."""
    return path.stem.split("[")[0].split("-")[0].strip() or path.stem


def _relative(entry: Mapping[str, Any], target: Path) -> dict[str, Any]:
    result = dict(entry)
    for key in ("image", "mask"):
        if result.get(key):
            path, base = Path(os.path.abspath(result[key])), Path(os.path.abspath(target))
            result[key] = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
    return result
