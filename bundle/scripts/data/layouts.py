"""Datasets that are used where they are: published folders, folders of labelled patches, MONAI datalists."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.image_files import image_files
from .convert import CONVERTED
from .datalist import SECTIONS, checked_entry, load_datalist
from .folders import MASKS, add_masks, first, held, subfolders, without_made
from .groups import HOW_TO_GROUP, assign_groups, compiled, warn_of_shared_groups
from .listing import listed
from .patches import named_patches, tabled_patches
from .sources import known_sources
from .split import split_by_group

__all__ = ["collect", "known_layouts", "layout_file", "register_layout"]

logger = logging.getLogger(__name__)

_LAYOUTS = ("luad", "bcss", "patches", "datalist")
#: File by which a folder is known as a round of labelling.
ROUND = "patches.json"
_TRAINING, _TRAINING_MASKS = ("train", "training"), ("train_mask",)
_HELD = {"validation": ("val", "valid", "validation"), "test": ("test",)}

Sections = dict[str, list[dict[str, Any]]]
Layout = Callable[[Path, Mapping[str, Any]], tuple[DatasetFacts, Sections]]

_OWN: dict[str, Layout] = {}


def register_layout(name: str) -> Callable[[Layout], Layout]:
    """Decorator of a function that reads a layout of one's own; :func:`~.prepare.prepare` then knows it by ``name``.

    The function takes the source and the facts of the dataset as far as they are given (a mapping), and returns the facts
    and ``{"training": entries, "validation": entries, "test": entries}``. An entry has ``image`` (a path), in training
    ``label`` (0 or 1 for each class), and may have ``mask`` (a path), ``group`` (the slide or case it is from),
    ``position`` (y, x in px) and the ``region`` that this is counted in, if it is not the group. Without
    ``validation``, groups are held out of training. Facts that are ``white_background`` without a dataset file that says so
    count; of others, white is measured.

    Raises:
        ValueError: the name is another layout's.
    """

    def decorate(function: Layout) -> Layout:
        other = _OWN.get(name)
        if name in ("rois", *_LAYOUTS, *known_sources()) or (other is not None and other.__module__ != function.__module__):
            raise ValueError(f"there is a layout {name!r} already: choose another name")
        _OWN[name] = function
        return function

    return decorate


def known_layouts() -> list[str]:
    """Names of the layouts that :func:`~.prepare.prepare` takes."""
    return ["rois", *_LAYOUTS, *known_sources(), *sorted(_OWN)]


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
    group: str | None = None,
) -> tuple[DatasetFacts, Sections, list[str]]:
    """Facts and datalist sections of a dataset; paths are relative to ``target`` where they are inside it.

    Args:
        layout: one of :func:`known_layouts` but ``rois``.
        source: folder of the dataset, or a datalist JSON.
        target: folder of the datalist.
        dataset: facts.
        table: CSV of labels, for ``patches``.
        val_fraction: share of the groups that validates where there is no validation folder.
        seed: seed of that split.
        group: regular expression that finds the slide or case in the path of a patch below ``source``; what it matches, or
            its (named) group.

    Returns:
        Facts, sections, and a message for everything in the source that was skipped.

    Raises:
        FileNotFoundError: an expected folder is absent or empty.
        ValueError: labels that do not fit, or a group that is none.
    """
    pattern = compiled(group)
    faults: list[str] = []
    if layout == "datalist":
        facts, sections = _datalist(source, dataset)
        base = source if source.is_dir() else source.parent
    elif layout in _OWN:
        facts, sections = _OWN[layout](source, dataset)
        sections = {name: [dict(entry) for entry in sections.get(name, [])] for name in SECTIONS}
        base = source
    else:
        facts, sections, faults = _folders(layout, source, target, dataset, table)
        base = source
    if pattern or layout not in _OWN:
        assign_groups(sections, base, facts.classes, pattern)
    if layout != "datalist":
        _hold_out(sections, val_fraction, seed)
    warn_of_shared_groups(sections)
    return facts, {name: [_relative(entry, target) for entry in sections[name]] for name in SECTIONS}, faults


def _folders(
    layout: str, source: Path, target: Path, dataset: Mapping[str, Any], table: str | None
) -> tuple[DatasetFacts, Sections, list[str]]:
    """Of folders as LUAD-HistoSeg and BCSS-WSSS are published, or of patches that lie in one or in subfolders."""
    if not source.is_dir():
        raise ValueError(f"{source}: found a file, expected a folder or an archive ({', '.join(_LAYOUTS)})")
    if layout == "patches" and not table and (source / ROUND).is_file():
        raise ValueError(f"{source}: a round of labelling, as its {ROUND} tells; prepare it with the layout labelled")
    csv = Path(table) if table else source / "labels.csv"
    training = first(source, _TRAINING) or (source if layout == "patches" else None)
    if training is None:
        raise FileNotFoundError(f"{source}: found no folder {' or '.join(_TRAINING)}, expected the published layout")
    others = [path for names in (*_HELD.values(), MASKS, _TRAINING_MASKS) for path in subfolders(source, names)]
    others += [target if target.resolve() != training.resolve() else target / CONVERTED]
    files, faults = listed(training, True, others)
    files = without_made(files, training)
    if layout == "patches" and (table or csv.is_file()):
        facts, entries = tabled_patches(csv, files, list(dict.fromkeys((csv.parent, training, source))), dataset)
    else:
        facts = DatasetFacts.from_dict(dict(dataset), "dataset")
        entries = named_patches(files, facts)
    if folder := first(source, _TRAINING_MASKS):
        masks, more = image_files(folder, True)
        faults += [*more, *add_masks(entries, training, masks, folder)]
    sections: Sections = {"training": entries}
    for name, folders in _HELD.items():
        folder = first(source, folders)
        sections[name], more = ([], []) if folder is None else held(folder)
        faults += more
    sections["training"] = _without_held(entries, [*sections["validation"], *sections["test"]], csv)
    if layout != "patches" and not sections["validation"]:
        raise FileNotFoundError(f"{source}: found no val folder with img and mask, expected the published layout")
    return facts, sections, faults


def _hold_out(sections: Sections, val_fraction: float, seed: int) -> None:
    """Let some of the training groups validate where nothing does."""
    entries = sections["training"]
    if sections["validation"] or not entries:
        return
    # an entry without a group is one of its own
    named = [{**entry, "name": str(entry["image"])} for entry in entries]
    kept, held = split_by_group(named, val_fraction, seed)
    if kept != held:
        sections["training"], sections["validation"] = ([_without_name(e) for e in part] for part in (kept, held))
    else:
        logger.warning(
            "nothing is held out to validate on: all %d patches are of one group, %r; for others, %s",
            len(entries), entries[0].get("group"), HOW_TO_GROUP,
        )  # fmt: skip


def _without_name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "name"}


def _datalist(source: Path, dataset: Mapping[str, Any]) -> tuple[DatasetFacts, Sections]:
    path = source if source.is_file() else source / DATALIST_NAME
    content = load_datalist(path)
    facts = DatasetFacts.from_dict({**content, **dataset}, str(path))
    sections: Sections = {}
    for name in SECTIONS:
        entries = content.get(name, [])
        if not isinstance(entries, list):
            raise ValueError(f"{path}: expected a list under {name!r}, found {type(entries).__name__}")
        base = path.parent.resolve()
        sections[name] = [
            checked_entry(entry, base, facts, f"{path}: {name} entry {number}") for number, entry in enumerate(entries)
        ]
    return facts, sections


def _without_held(entries: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], table: Path) -> list[dict[str, Any]]:
    """Training entries without those that a table lists of the held-out folders, which get its label, group and the like."""
    held_out = {os.path.realpath(entry["image"]): entry for entry in others}
    kept = []
    for entry in entries:
        other = held_out.get(os.path.realpath(entry["image"]))
        if other is None:
            kept.append(entry)
        else:
            other.update({key: value for key, value in entry.items() if key not in ("image", "mask")})
    if len(kept) < len(entries):
        logger.info("%s: %d of its images are in the folders to validate and test on", table, len(entries) - len(kept))
    return kept


def _relative(entry: Mapping[str, Any], target: Path) -> dict[str, Any]:
    result = dict(entry)
    for key in ("image", "mask"):
        if result.get(key):
            path, base = Path(os.path.abspath(result[key])), Path(os.path.abspath(target))
            inside = path.is_relative_to(base) and path.resolve().is_relative_to(base.resolve())  # not a link out of it
            result[key] = path.relative_to(base).as_posix() if inside else str(path)
    return result
