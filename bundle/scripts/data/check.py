"""Checks a prepared dataset before hours of training: every fault in one report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.atomic import write_json, write_text
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.image_files import image_files
from .datalist import SECTIONS, load_datalist
from .entry_checks import EntryChecks, Fault
from .listing import is_text
from .white_choice import sample

__all__ = ["Fault", "assert_sound", "check_dataset"]

logger = logging.getLogger(__name__)


def check_dataset(dataset_dir: str | Path, progress: bool = True) -> list[Fault]:
    """Read everything that a datalist names and list every fault; no fault ends the check.

    Checked are: the datalist itself; each path (inside the dataset unless absolute); each image (present, readable to
    its last byte, of the training patches' size in training, grey or colour as the first one); each mask (present,
    readable, one value per pixel, values in range, as large as its image); each label (length, values, not all zero,
    against the true mask); each position (two whole numbers); classes that never occur; images that stand in two sections or
    with two labels, by content; files in the folders of the images and masks without their counterpart; values of masks that
    suggest another meaning; whether the datalist says what white is.

    Args:
        dataset_dir: prepared dataset.
        progress: whether to show a progress bar.

    Returns:
        Faults, errors first.
    """
    return _examine(Path(dataset_dir), progress)[0]


def assert_sound(dataset_dir: str | Path, report_dir: str | Path | None = None, progress: bool = True) -> list[Fault]:
    """Check a dataset, print and write the report, and end if there is an error.

    Printed too are the share of each value and class in the true masks, and how much is white and what that counts as.

    Args:
        dataset_dir: prepared dataset.
        report_dir: folder for ``dataset_check.json`` and ``dataset_check.txt``; nothing is written without one.
        progress: whether to show a progress bar.

    Returns:
        The warnings.

    Raises:
        SystemExit: there are errors; each is in the message.
    """
    faults, figures = _examine(Path(dataset_dir), progress)
    text = "\n".join(map(str, faults)) or "no fault found"
    if report_dir is not None and Path(dataset_dir).is_dir():  # a mistyped folder is not made
        write_json(Path(report_dir) / "dataset_check.json", [asdict(f) for f in faults])
        write_text(Path(report_dir) / "dataset_check.txt", text + "\n")
    if figures:
        logger.info("%s", "\n".join(figures))
    errors = [f for f in faults if f.severity == "error"]
    if errors:
        raise SystemExit(f"{dataset_dir}: {len(errors)} errors, {len(faults) - len(errors)} warnings\n{text}")
    logger.info("%s: checked: %s", dataset_dir, text)
    return faults


def _examine(dataset_dir: Path, progress: bool) -> tuple[list[Fault], list[str]]:
    """Faults, errors first, and what there is to know of the masks and of white, as texts."""
    path = dataset_dir / DATALIST_NAME
    if not path.is_file():
        return [Fault("error", "no datalist", str(path), "no such file", "a datalist.json made by prepare")], []
    try:
        content = load_datalist(path)
        facts = DatasetFacts.from_dict(content, str(path))
    except (ValueError, OSError, RecursionError) as error:
        expected = "JSON with 'classes' and lists of entries"
        found = str(error).removeprefix(f"{path}: ")
        return [Fault("error", "malformed datalist", str(path), found, expected)], []
    checks = EntryChecks(path, facts)
    listed = {section: content.get(section, []) for section in SECTIONS}
    places = [(section, k) for section, entries in listed.items() if isinstance(entries, list) for k in range(len(entries))]
    measured = set(sample(places, seed=0))
    for section, entries in listed.items():
        severity = "error" if section == "training" else "warning"
        if not isinstance(entries, list):
            checks.add("malformed datalist", path, f"{type(entries).__name__} under {section!r}", "a list")
            continue
        if not entries:
            checks.add("empty section", path, f"no entry under {section!r}", "entries", severity)
        present = np.zeros(facts.num_classes, bool)
        for number, entry in enumerate(tqdm(entries, desc=f"check {section}", disable=not progress, leave=False)):
            checks.check(section, number, entry, (section, number) in measured, present)
        for k in np.flatnonzero(~present) if entries else []:
            found = f"no {section} entry with {facts.classes[k]!r}"
            checks.add("class never present", path, found, "at least one", severity)
    _check_strays(listed, path.parent, checks)
    if facts.mask_values:
        found = "mask_values, so that its masks hold no class indices yet"
        checks.add("mask values", path, found, "a dataset made of it by prepare.yaml with layout 'datalist'")
    for found, expected in checks.shares.suspicions(facts):
        checks.add("mask values", path, found, expected, "warning")
    if content.get("white_background") is None:
        meaning = "true if white is a background of its own (glass), false if it belongs to a tissue; false is taken"
        found = f"no white_background, and {checks.white.measured()}"
        checks.add("white background", path, found, f"white_background: {meaning}", "warning")
    figures = [checks.shares.table(facts)] if checks.shares.count else []
    figures += [checks.white.line(facts)] if checks.white.images else []
    return sorted(checks.faults, key=lambda fault: fault.severity), figures


def _check_strays(listed: Mapping[str, Any], base: Path, checks: EntryChecks) -> None:
    """Files beside those that the datalist names: a mask without image, an image that nothing names."""
    named: dict[str, set[Path]] = {"image": set(), "mask": set()}
    for entries in listed.values():
        for entry in entries if isinstance(entries, list) else []:
            for key in named:
                for name in (key, f"raw_{key}"):
                    if isinstance(entry, dict) and isinstance(entry.get(name), str):
                        named[key].add((base / entry[name]).absolute())
    for key, kind, expected in (
        ("mask", "mask without image", "an image of the same name in the datalist"),
        ("image", "image not in the datalist", "an entry, with its mask or label"),
    ):
        others = named["image"] | named["mask"]
        for folder in sorted({p.parent for p in named[key]}):
            try:
                found, unseen = image_files(folder)
            except (OSError, ValueError):
                continue  # the files that should be in it are missing, and said to be
            for path in found:
                if not is_text(path):
                    checks.add(kind, path, "a name that is not UTF-8", "one that a datalist can hold", "warning")
                elif path.absolute() not in others:
                    checks.add(kind, path, "a file that no entry names", expected)
            for message in unseen:
                checks.add(kind, folder, message, expected, "warning")
